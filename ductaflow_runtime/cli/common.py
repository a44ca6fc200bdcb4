"""What the commands share: the project they are about, its steps, and how things are counted and named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ductaflow_runtime.errors import ConfigError, shown
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import check_name, list_steps
from ductaflow_runtime.runs.times import local_time as local_time

if TYPE_CHECKING:
    from ductaflow_runtime.staleness.present import Present

_MOST_NAMES = 5


def echo(text: object) -> None:
    """A line on the terminal, where names and reasons are text and nothing else."""
    click.echo(shown(str(text)))


def find_present() -> Present:
    """The present state of the project that the command is typed in."""
    from ductaflow_runtime.staleness.present import Present

    return Present(Project.find())


def known_step(runs_dir: Path, step: str) -> str:
    """A step that has a folder; `ConfigError` names those that there are."""
    steps = list_steps(runs_dir)
    if check_name(step, "step name") not in steps:
        there = f"there are {', '.join(steps)}" if steps else "nothing has run yet"
        raise ConfigError(f"no step {step} in {runs_dir}; {there}")
    return step


def some(names: Sequence[str]) -> str:
    """The first names of a list."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"

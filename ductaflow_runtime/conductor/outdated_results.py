"""Which of the results that somebody takes from disk are not up to date, and why: as `ductaflow status` says it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.rehearsal import beside_rehearsal, current_rehearsal
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.project import Project, find_root
from ductaflow_runtime.runs.look import Seen
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.inventory import examine
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.upstream import rest_on


def why_outdated(runs_dir: Path, seen: Mapping[str, Mapping[str, Seen]]) -> dict[tuple[str, str], str] | None:
    """Why results are not up to date, by step and name, of the instances that have been `seen` in each step.

    `None` where nobody can tell: outside the project that they are of. Nor is it looked at in a flow, whose results
    would then depend on more than what it reads; what it rests on is told of its own instance.
    """
    if execution.current() is not None:
        return None
    with execution.aside(), beside_rehearsal():  # aside: a script may yet turn out to be a flow
        project = _project_of(runs_dir)
        if project is None:
            return None
        present = Present(project, keep=current_rehearsal() is None)
        found = [one for step, names in seen.items() for one in examine(present, step, list(names), seen=names)]
        stale = [one for one in rest_on(found, present) if one.state is Status.DONE and one.stale]
    return {(one.instance.step, one.instance.name): one.stale or "" for one in stale}


def _project_of(runs_dir: Path) -> Project | None:
    """The project of the working directory, if the results are its own."""
    root, home = find_root(), find_root(runs_dir)
    if _is_project(home) and home != root:
        return None
    return Project.at(root, runs_dir) if _is_project(root) or runs_dir.is_relative_to(root) else None


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def warn_of_outdated(step: str, names: list[str], *, stacklevel: int) -> None:
    """A line, if there are any; `stacklevel` as seen from the caller."""
    if names:
        which = "an instance that is" if len(names) == 1 else f"{len(names)} instances that are"
        warnings.warn(
            f"the results of {step} include {which} not up to date: {some(names, 3)} "
            f"(`ductaflow status {step}` says why)",
            stacklevel=stacklevel + 1,
        )

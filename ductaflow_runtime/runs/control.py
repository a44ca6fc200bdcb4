"""A note of what sweeps asked for: it tells an instance that has lost its row from one that never had one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.instance import list_instances
from ductaflow_runtime.runs.record import now


@dataclass(frozen=True)
class Control:
    """A note of what sweeps asked for: the names in the last control dataframe, its time, and all names so far."""

    names: list[str]
    at: str
    ever: list[str]


def remember_control(runs_dir: Path, step: str, names: Sequence[str]) -> None:
    """Note which instances a control dataframe asks for; a run does not fail for want of this note."""
    known = last_control(runs_dir, step)
    there = set(list_instances(runs_dir, step))
    before = [name for name in known.ever if name in there] if known is not None else []
    note = {"names": list(names), "at": now(), "ever": list(dict.fromkeys([*before, *names]))}
    path = _control_file(runs_dir, step)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(note, ensure_ascii=False))


def last_control(runs_dir: Path, step: str) -> Control | None:
    """The note of the step's last control dataframe; `None` if no sweep has left one."""
    try:
        known = Control(**json.loads(_control_file(runs_dir, step).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return known if isinstance(known.names, list) and isinstance(known.ever, list) else None


def _control_file(runs_dir: Path, step: str) -> Path:
    return runs_dir / HIDDEN / "control" / f"{step}.json"


def not_in_control(runs_dir: Path, step: str) -> list[str]:
    """The instances on disk that an earlier control dataframe named and the last one does not.

    One that no control dataframe ever named (made by `run_notebook`, a command or a script) has no row to lose.
    """
    known = last_control(runs_dir, step)
    return [] if known is None else sorted(set(list_instances(runs_dir, step)) & set(known.ever) - set(known.names))

"""A note of which rows a step has: it tells an instance that has lost its row from one that never had one.

Only who says so knows that the rows of a call are all that there are. A call that does not say it adds to what is
known, and takes nothing away.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.files import read_json, write_atomically
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.instance import list_instances
from ductaflow_runtime.runs.record import now


@dataclass(frozen=True)
class Control:
    """`names` are the rows of a step as far as is known, `ever` those that it once had as well.

    With `whole`, somebody said at the time `at` that these are all; later calls may have added to them.
    """

    names: list[str]
    at: str
    ever: list[str]
    whole: bool = False


def remember_control(runs_dir: Path, step: str, names: Sequence[str], *, whole: bool = False) -> None:
    """Note which instances a control dataframe asks for; `whole` if it has all rows of the step.

    A dataframe without rows says nothing: it is a filter that found none. A run does not fail for want of this note.
    """
    if not names:
        return
    known = last_control(runs_dir, step)
    there = set(list_instances(runs_dir, step))
    before = [name for name in known.ever if name in there] if known is not None else []
    note = {"names": list(names), "at": now(), "whole": whole}
    if known is not None and not whole:
        note = {"names": _both(known.names, names), "at": known.at if known.whole else now(), "whole": known.whole}
    path = _control_file(runs_dir, step)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({**note, "ever": _both(before, names)}, ensure_ascii=False))


def forget_step(runs_dir: Path, step: str) -> None:
    """Take away the folder of a step that has no instance left, and the note of its rows: nothing will execute them."""
    with contextlib.suppress(OSError):
        (runs_dir / step).rmdir()
        _control_file(runs_dir, step).unlink()


def _both(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def last_control(runs_dir: Path, step: str) -> Control | None:
    """The note of the step's rows; `None` if no sweep has left one."""
    try:
        known = Control(**read_json(_control_file(runs_dir, step)))
    except (OSError, ValueError, TypeError):
        return None
    return known if isinstance(known.names, list) and isinstance(known.ever, list) else None


def _control_file(runs_dir: Path, step: str) -> Path:
    return runs_dir / HIDDEN / "control" / f"{step}.json"


def not_in_control(runs_dir: Path, step: str) -> list[str]:
    """The instances on disk that had a row once and have none now; none, as long as nobody has said which rows are all.

    One that no control dataframe ever named (made by `run_notebook`, a command or a script) has no row to lose.
    """
    known = last_control(runs_dir, step)
    if known is None or not known.whole:
        return []
    return sorted(set(list_instances(runs_dir, step)) & set(known.ever) - set(known.names))


def without_folder(runs_dir: Path, step: str) -> list[str]:
    """The rows that some call of the step has asked for, and that have no folder: nothing has executed them yet."""
    known = last_control(runs_dir, step)
    return [] if known is None else sorted(set(known.names) - set(list_instances(runs_dir, step)))


def is_whole(runs_dir: Path, step: str) -> bool:
    """Whether somebody has said which rows of a step are all."""
    known = last_control(runs_dir, step)
    return known is not None and known.whole

"""A note of what a sweep set out to execute: whoever looks after a stop is told of the rows that it did not come to.

Their results are good, but of the values that these rows had before, and only the sweep knew of the new ones. An entry
holds as long as the record is the one that the sweep has seen.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ductaflow_runtime.files import read_json, write_atomically
from ductaflow_runtime.project import HIDDEN

Owed = dict[str, tuple[str, str]]
"""By name: what tells the record from any other of the instance, and why it was to be executed."""


def remember_owed(runs_dir: Path, step: str, asked: Sequence[str], owed: Mapping[str, tuple[str, str]]) -> None:
    """Of the rows that a call asked for, note those that it is to execute; no run fails for want of this note."""
    known = owed_rows(runs_dir, step)
    note = {name: entry for name, entry in known.items() if name not in set(asked)} | dict(owed)
    path = _file(runs_dir, step)
    with contextlib.suppress(OSError):
        if note:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(note, ensure_ascii=False))
        elif known:
            path.unlink()


def owed_rows(runs_dir: Path, step: str) -> Owed:
    """What is noted for a step; nothing if no sweep has left a note."""
    try:
        found = read_json(_file(runs_dir, step))
        return {str(name): (str(mark), str(reason)) for name, (mark, reason) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file(runs_dir: Path, step: str) -> Path:
    return runs_dir / HIDDEN / "owed" / f"{step}.json"

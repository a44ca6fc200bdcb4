"""What the last page was made of, kept under `.ductaflow/page/`, so that the next one reads only what has changed.

All of it can be deleted at any time, and what cannot be read or does not fit is made anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import open_regular, write_atomically
from ductaflow_runtime.runs.failure import failure_from_json
from ductaflow_runtime.runs.instance import HIDDEN
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.status_page.row import Row, natural_key

VERSION = 4
"""Of what is kept. A change of what a row tells needs the next number, or the old rows stay."""

_OF_RECORD = tuple(item.name for item in fields(Record) if item.name not in ("fingerprint", "results", "skipped"))
_OF_ROW = ("config", "defaults", "results", "flow_stem", "began", "ended")


def remember(runs_dir: Path, name: str, items: Iterable[Any]) -> None:
    """Keep plain JSON values, one a line; that it cannot be written only costs time."""
    path = _path(runs_dir, name)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(item, separators=(",", ":")) + "\n" for item in items)
        write_atomically(path, chain([f"{VERSION}\n"], lines))


def forget(runs_dir: Path, name: str) -> None:
    """What was kept is no longer so."""
    with contextlib.suppress(OSError):
        _path(runs_dir, name).unlink()


def remembered(runs_dir: Path, name: str) -> Iterator[Any]:
    """What was kept, up to the first line that is damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError), open_regular(_path(runs_dir, name)) as file:
        if file.readline() == f"{VERSION}\n".encode():
            for line in file:
                yield json.loads(line)


def _path(runs_dir: Path, name: str) -> Path:
    return runs_dir / HIDDEN / "page" / f"{name}.jsonl"


def row_to_json(row: Row) -> list[Any]:
    """A row as plain values; its folder is told by step and name."""
    about = {name: getattr(row.record, name) for name in _OF_RECORD if name not in ("directory", "error")}
    error = None if row.record.error is None else row.record.error.to_json()
    own = {name: getattr(row, name) for name in _OF_ROW}
    return [row.step, row.name, row.status, row.problem, sorted(row.files), own, about, error]


def row_from_json(told: list[Any], runs_dir: Path) -> Row:
    """The inverse of `row_to_json`; raises `ValueError`, `TypeError` or `KeyError` for what does not fit."""
    step, name, status, problem, files, own, about, error = told
    directory = runs_dir / step / name
    failure = None if error is None else failure_from_json(error)
    record = Record(**{**about, "status": Status(about["status"])}, error=failure, directory=directory)
    order = natural_key(step), natural_key(name)
    return Row(step, name, directory, Status(status), problem, record, files=frozenset(files), order=order, **own)

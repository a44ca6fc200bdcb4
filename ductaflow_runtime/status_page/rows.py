"""The rows of the page: each instance's record as `runs.look` sees it, and what lies beside it.

A sweep rewrites the page every few seconds, so a record is looked at again only when its file changed or it may
have changed without: while it says `running`, and where there is none. The next process starts with what this one
knows.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ductaflow_runtime.runs.instance import list_instances, list_steps
from ductaflow_runtime.runs.look import Seen, defaults_of, look, results_of, values_of
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.status_page.page_cache import remember, remembered, row_from_json, row_to_json
from ductaflow_runtime.status_page.row import Row, milliseconds, natural_key

Stamp = tuple[int, int, int, int, int]

_PASSING = (Status.RUNNING, Status.INTERRUPTED, Status.DAMAGED)
"""Such a row may be another one although no file has changed: what could not be read can be read again."""

_MEMORY = "rows"
_WORTH_KEEPING = 0.02
"""Of the rows: writing them all costs about as much as reading so many anew."""


class RowReader:
    """Finds the instances under `runs_dir`, keeping what it read while the files stay the same."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._read: dict[str, tuple[Stamp, Row]] | None = None
        self._renewed = 0

    def read(self) -> list[Row]:
        """All instances, by step and then by name in natural order (`x9` before `x10`)."""
        before = self._remembered() if self._read is None else self._read
        kept: dict[str, tuple[Stamp, Row]] = {}
        rows: list[Row] = []
        for step in list_steps(self._runs_dir):
            for name in list_instances(self._runs_dir, step):
                # Plain text: ten thousand `Path` objects a writing cost more than the look at the disk.
                directory = f"{self._runs_dir}{os.sep}{step}{os.sep}{name}"
                stamp = _stamp(directory)
                known = before.get(directory)
                if known is not None and known[0] == stamp:
                    row: Row | None = known[1]
                else:
                    row = _row(step, Path(directory), look(Path(directory)))
                    self._renewed += 1
                if row is None:
                    continue
                rows.append(row)
                if stamp is not None and row.status not in _PASSING:
                    kept[directory] = (stamp, row)
        self._read = kept
        return sorted(rows, key=lambda row: row.order)

    def keep(self) -> None:
        """Remember the rows for the next process, if there is much to remember: what is not kept is read again."""
        kept = self._read or {}
        if self._renewed > len(kept) * _WORTH_KEEPING:
            remember(self._runs_dir, _MEMORY, ([stamp, row_to_json(row)] for stamp, row in kept.values()))
            self._renewed = 0

    def _remembered(self) -> dict[str, tuple[Stamp, Row]]:
        known: dict[str, tuple[Stamp, Row]] = {}
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            for stamp, told in remembered(self._runs_dir, _MEMORY):
                row = row_from_json(told, self._runs_dir)
                known[f"{self._runs_dir}{os.sep}{row.step}{os.sep}{row.name}"] = tuple(stamp), row
        return known


def _stamp(directory: str) -> Stamp | None:
    """Tells a record and the names beside it from others."""
    try:
        record, folder = os.stat(f"{directory}{os.sep}{FILE_NAME}"), os.stat(directory)
    except OSError:
        return None
    return record.st_mtime_ns, record.st_size, record.st_ino, record.st_ctime_ns, folder.st_mtime_ns


def _row(step: str, directory: Path, seen: Seen) -> Row | None:
    """None for a folder that no execution has written to."""
    if seen.state is Status.NEW:
        return None
    record = seen.record
    order = natural_key(step), natural_key(directory.name)
    files = _file_names(directory)
    if record is None:
        problem = _damage(seen, directory)
        return Row(step, directory.name, directory, seen.state, problem, files=files, order=order)
    warned = seen.state is Status.DONE and bool(record.warnings)
    return Row(
        step,
        directory.name,
        directory,
        Status.WARNED if warned else seen.state,
        _interruption(seen),
        record=record.but(results=None, fingerprint=None, tables=None),
        config=values_of(record),
        defaults=defaults_of(record),
        results=results_of(record),
        files=files,
        flow_stem=record.flow_stem,
        began=milliseconds(record.started),
        ended=milliseconds(record.finished),
        order=order,
    )


def _damage(seen: Seen, directory: Path) -> str | None:
    """As status and results tell it, without the instance's folder, which the row names already."""
    if seen.state is not Status.DAMAGED:
        return None
    return (seen.damage or f"no {FILE_NAME}").replace(f"{directory}{os.sep}", "")


def _interruption(seen: Seen) -> str | None:
    """An execution that was broken off in an orderly way has an error that says so."""
    unsaid = seen.state is Status.INTERRUPTED and seen.record is not None and seen.record.error is None
    return "the process that ran it is gone" if unsaid else None


def _file_names(directory: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(directory))
    except OSError:
        return frozenset()

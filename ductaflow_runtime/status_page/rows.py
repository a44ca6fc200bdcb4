"""The rows of the page: each instance's record as `runs.look` sees it, and what lies beside it.

A sweep rewrites the page every few seconds, so a record is looked at again only when its file changed or it may
have changed without: while it says `running`, and where there is none.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.values import flatten, read_config
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.runs.instance import CONFIG_NAME, list_instances, list_steps
from ductaflow_runtime.runs.look import Seen, look
from ductaflow_runtime.runs.record import FILE_NAME, Record
from ductaflow_runtime.runs.states import Status

Order = tuple[tuple[int, int, str], ...]
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One instance on the page.

    `status` is the state of its folder, or `WARNED`; `problem` says what is wrong with the record itself.
    `record` is without results and fingerprint, which are `results` and `config` with dotted names. `files` are the
    names beside it; `stale` is why the result is not up to date, if somebody said so; `began` and `ended` are in
    milliseconds since 1970.
    """

    step: str
    name: str
    directory: Path
    status: Status
    problem: str | None = None
    record: Record = field(default_factory=Record)
    config: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    flow_stem: str = ""
    stale: str | None = None
    began: int | None = None
    ended: int | None = None
    order: tuple[Order, Order] = ((), ())

    @property
    def notebook(self) -> str:
        """The name of the executed notebook."""
        return f"{self.flow_stem}.ipynb"


class RowReader:
    """Finds the instances under `runs_dir`, keeping what it read while the file stays the same."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._read: dict[str, tuple[Stamp, Row]] = {}

    def read(self) -> list[Row]:
        """All instances, by step and then by name in natural order (`x9` before `x10`)."""
        kept: dict[str, tuple[Stamp, Row]] = {}
        rows: list[Row] = []
        for step in list_steps(self._runs_dir):
            for name in list_instances(self._runs_dir, step):
                # Plain text: ten thousand `Path` objects a writing cost more than the look at the disk.
                directory = f"{self._runs_dir}{os.sep}{step}{os.sep}{name}"
                stamp = _stamp(f"{directory}{os.sep}{FILE_NAME}")
                known = self._read.get(directory)
                if known is not None and known[0] == stamp:
                    row: Row | None = known[1]
                else:
                    seen = look(Path(directory))
                    row = _row(step, Path(directory), seen)
                if row is None:
                    continue
                rows.append(row)
                if stamp is not None and row.status not in (Status.RUNNING, Status.INTERRUPTED):
                    kept[directory] = (stamp, row)
        self._read = kept
        return sorted(rows, key=lambda row: row.order)


def natural_key(name: str) -> Order:
    """Orders digits by value and letters without case."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts))


def milliseconds(timestamp: str | None) -> int | None:
    """An ISO time as milliseconds since 1970, or None when it is missing or damaged."""
    if timestamp is None:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


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
        record=record.but(results=None, fingerprint=None),
        config=flatten(_config_of(record)),
        results=flatten(record.results or {}),
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


def _config_of(record: Record) -> dict[str, Any]:
    """The recorded config, else the file beside the record: a child that died early left only that."""
    if record.fingerprint is not None and record.fingerprint.config is not None:
        return record.fingerprint.config
    try:
        return read_config(record.directory / CONFIG_NAME)
    except (ConfigError, RecursionError):
        return {}

"""The record of an instance's last execution: `run.json`, replaced atomically, written last.

A record is only ever written whole, so that a reader sees the old one or the new one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from ductaflow_runtime.errors import RecordError

SCHEMA = 1
FILE_NAME = "run.json"


class Status(StrEnum):
    """What a record says of its execution."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Outcome(StrEnum):
    """What a sweep did with a row."""

    DONE = "done"
    UP_TO_DATE = "up to date"
    REFRESHED = "refreshed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Record:
    """The fields of `run.json`, the instance's folder, and whether this call skipped the execution.

    `duration_s` is in seconds, `started` and `finished` are ISO texts in UTC, `outputs` maps a path
    relative to `directory` to `{size (bytes), sha256, mtime_ns}`.
    """

    schema: int = SCHEMA
    flow: str | None = None
    step: str | None = None
    instance_name: str | None = None
    status: Status = Status.RUNNING
    reason: str | None = None
    started: str | None = None
    finished: str | None = None
    duration_s: float | None = None
    command: str | None = None
    error: dict[str, Any] | None = None
    warnings: int | None = None
    results: dict[str, Any] | None = None
    fingerprint: dict[str, Any] | None = None
    outputs: dict[str, dict[str, Any]] | None = None
    environment: dict[str, Any] | None = None
    accepted: str | None = None
    directory: Path = field(default=Path(), compare=False)
    skipped: bool = field(default=False, compare=False)
    outcome: Outcome | None = field(default=None, compare=False)
    previous: Path | None = field(default=None, compare=False)

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.directory / f"{self.flow_stem}.ipynb"

    @property
    def html(self) -> Path:
        """The page made of the executed notebook, if one was asked for."""
        return self.directory / f"{self.flow_stem}.html"

    @property
    def log(self) -> Path:
        """What the execution printed, line by line."""
        return self.directory / "run.log"

    @property
    def flow_stem(self) -> str:
        """The flow's file name without its ending."""
        return PurePosixPath(self.flow or "flow").stem

    def to_json(self) -> dict[str, Any]:
        """The content of `run.json`: every key, `null` where unknown."""
        return {name: getattr(self, name) for name in _STORED}

    def but(self, **changes: Any) -> Record:
        """A copy with some fields changed."""
        return replace(self, **changes)


_STORED = tuple(
    item.name for item in fields(Record) if item.name not in ("directory", "skipped", "outcome", "previous")
)


def read_record(directory: Path) -> Record | None:
    """The record in an instance's folder, `None` without one; raises `RecordError` for a damaged one."""
    path = os.path.join(directory, FILE_NAME)
    try:
        with open(path, "rb") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{path} is not valid JSON ({error})") from None
    return from_json(stored, directory)


def from_json(stored: object, directory: Path) -> Record:
    """A record from the content of `run.json`; raises `RecordError` that says what is wrong with it."""
    if not isinstance(stored, dict):
        raise RecordError(f"{directory / FILE_NAME} does not hold a JSON object")
    if stored.get("schema") != SCHEMA:
        raise RecordError(f"{directory / FILE_NAME} has schema {stored.get('schema')!r}; this version reads {SCHEMA}")
    known = {name: stored[name] for name in _STORED if name in stored}
    try:
        known["status"] = Status(known.get("status", ""))
    except ValueError:
        raise RecordError(f"{directory / FILE_NAME} has the unknown status {stored.get('status')!r}") from None
    for name, kind in _SHAPES.items():
        if not isinstance(known.get(name), (kind, type(None))):
            raise RecordError(f"{directory / FILE_NAME}: {name} has the wrong type ({type(known[name]).__name__})")
    return Record(directory=directory, **known)


_SHAPES: dict[str, Any] = {
    "flow": str,
    "step": str,
    "instance_name": str,
    "duration_s": (int, float),
    "error": dict,
    "warnings": int,
    "results": dict,
    "fingerprint": dict,
    "outputs": dict,
    "environment": dict,
}


def write_record(record: Record) -> None:
    """Replace the record on disk."""
    text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_atomically(record.directory / FILE_NAME, text + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def now() -> str:
    """This moment, ISO and UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")

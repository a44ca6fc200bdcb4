"""The record of an instance's last execution: `run.json`, replaced atomically, written last.

A record is only ever written whole, so that a reader sees the old one or the new one.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import FileState, write_atomically
from ductaflow_runtime.runs.failure import Failure, failure_from_json
from ductaflow_runtime.runs.fingerprint import Fingerprint, fingerprint_from_json
from ductaflow_runtime.runs.states import STORED, Status
from ductaflow_runtime.runs.stored import Stored

SCHEMA = 1
FILE_NAME = "run.json"


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
    error: Failure | None = None
    warnings: int | None = None
    results: dict[str, Any] | None = None
    fingerprint: Fingerprint | None = None
    outputs: dict[str, FileState] | None = None
    environment: dict[str, Any] | None = None
    accepted: str | None = None
    links: list[str] | None = None
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
        return {name: value.to_json() if isinstance(value, Stored) else value for name, value in self._stored()}

    def _stored(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in _STORED)

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
    except IsADirectoryError:
        raise RecordError(_IS_FOLDER.format(path=path)) from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    try:
        stored = _DECODER.decode(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not valid JSON ({error})") from None
    return from_json(stored, directory)


_IS_FOLDER = "{path} is a folder, where the record should be; move it away to run the instance"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def from_json(stored: object, directory: Path) -> Record:
    """A record from the content of `run.json`; raises `RecordError` that says what is wrong with it."""
    if not isinstance(stored, dict):
        raise RecordError(f"{directory / FILE_NAME} does not hold a JSON object")
    if stored.get("schema") != SCHEMA:
        raise RecordError(
            f"{directory / FILE_NAME} has schema {stored.get('schema')!r}; this version reads {SCHEMA}: "
            "update ductaflow in this environment, or run the instance again"
        )
    known = {name: stored[name] for name in _STORED if name in stored}
    try:
        known["status"] = Status(known.get("status", ""))
        if known["status"] not in STORED:
            raise ValueError
    except ValueError:
        raise RecordError(f"{directory / FILE_NAME} has the unknown status {stored.get('status')!r}") from None
    misfit = next((name for name, kinds in _KINDS.items() if not isinstance(known.get(name), kinds)), None)
    if misfit or (misfit := _deeper_misfit(known)):
        raise RecordError(f"{directory / FILE_NAME}: {misfit} is not as an execution writes it")
    if known.get("error") is not None:
        known["error"] = failure_from_json(known["error"])
    if known.get("fingerprint") is not None:
        known["fingerprint"] = fingerprint_from_json(known["fingerprint"])
    return Record(directory=directory, **known)


_NONE = type(None)
_TEXTS = ("flow", "step", "instance_name", "reason", "started", "finished", "command", "accepted")
_OBJECTS = ("error", "results", "fingerprint", "outputs", "environment")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, (str, _NONE)),
    **dict.fromkeys(_OBJECTS, (dict, _NONE)),
    "duration_s": (int, float, _NONE),
    "warnings": (int, _NONE),
    "links": (list, _NONE),
}
_ODD = {"", ".", ".."}
_DEEPEST = 100
"""More than a config can be. A damaged record may be nested as deep as the JSON reader gets."""


def _deeper_misfit(known: dict[str, Any]) -> str | None:
    """The first part inside a record that is not what its readers rely on."""
    error, outputs, links = known.get("error") or {}, known.get("outputs") or {}, known.get("links") or []
    parts = known.get("fingerprint") or {}
    checks = {
        "flow": _is_path(known.get("flow") or ""),
        "duration_s": _is_amount(known.get("duration_s"), sys.float_info.max),
        "warnings": _is_amount(known.get("warnings"), 2**53),
        "results": _is_plain(known.get("results")),
        "error": _is_error(error),
        "outputs": _are_files(outputs) and all(map(_is_inside, outputs)),
        "links": all(isinstance(path, str) and _is_path(path) and _is_inside(path) for path in links),
        "fingerprint.config": isinstance(parts.get("config"), (dict, _NONE)) and _is_plain(parts.get("config")),
        "fingerprint.code": _is_code(parts.get("code") or {}),
        "fingerprint.modules": _are_files(parts.get("modules") or {}),
        "fingerprint.inputs": _are_files(parts.get("inputs") or {}),
        "fingerprint.packages": _are_texts(parts.get("packages") or {}),
    }
    return None if all(checks.values()) else next(name for name, fits in checks.items() if not fits)


def _is_amount(value: Any, most: float) -> bool:
    """`True` is an int to Python, and an int may be too large for a float."""
    return value is None or (not isinstance(value, bool) and 0 <= value <= most)


def _is_error(error: dict[str, Any]) -> bool:
    texts = (error.get(name) for name in ("type", "message", "traceback"))
    return all(isinstance(text, (str, _NONE)) for text in texts) and _is_cell(error.get("cell"))


def _is_cell(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_plain(value: Any) -> bool:
    """Whether it could have been a config: not nested deeper than readers recurse, no text that cannot be encoded."""
    level = [value]
    for _ in range(_DEEPEST):
        if not all(_is_encodable(item) for item in level if isinstance(item, str)):
            return False
        level = [inner for item in level if isinstance(item, dict | list) for inner in _inside(item)]
        if not level:
            return True
    return False


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return chain(value, value.values()) if isinstance(value, dict) else value


def _is_encodable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _is_inside(path: str) -> bool:
    """A re-run clears away what the record lists, so nothing of that may lead out of the instance's folder."""
    return not os.path.isabs(path) and _ODD.isdisjoint(path.split("/"))


def _is_path(text: str) -> bool:
    try:
        return "\0" not in text and (text.isascii() or bool(os.fsencode(text)))
    except UnicodeEncodeError:
        return False


def _are_files(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(told, dict) and _is_path(path) for path, told in value.items())


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_code(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("text"), (str, _NONE)):
        return False
    cells = value.get("cells") or []
    return isinstance(cells, list) and all(isinstance(cell, str) for cell in cells)


def write_record(record: Record) -> None:
    """Replace the record on disk."""
    text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    path = record.directory / FILE_NAME
    try:
        write_atomically(path, text + "\n")
    except OSError:
        if path.is_dir():
            raise RecordError(_IS_FOLDER.format(path=path)) from None
        raise


def now() -> str:
    """This moment, ISO and UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")

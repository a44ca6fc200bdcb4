"""The record of an instance's last execution: `run.json`, replaced atomically, written last.

A record is only ever written whole, so that a reader sees the old one or the new one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import FileState, read_regular, written_beside
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.failure import Failure, failure_from_json
from ductaflow_runtime.runs.fingerprint import Fingerprint, fingerprint_from_json
from ductaflow_runtime.runs.not_finite import marks_of, with_marked, without_marked
from ductaflow_runtime.runs.record_shape import misfit
from ductaflow_runtime.runs.states import STORED, Status
from ductaflow_runtime.runs.stored import Stored

SCHEMA = 1
FILE_NAME = "run.json"
_LONGEST_LINE = 100
PREVIOUS = Path(HIDDEN, "previous")


@dataclass(frozen=True, repr=False)
class Record:
    """The fields of `run.json`, the instance's folder, and whether this call skipped the execution.

    `duration_s` and `cpu_s` are in seconds, `peak_memory` in bytes, `started` and `finished` are ISO texts in UTC,
    `outputs` maps a path relative to `directory` to `{size (bytes), sha256, mtime_ns}`. `results` are by
    their dotted names, NaN and the infinities as they are; `not_finite` says where these are, for the file has `null`
    there. `tables` maps a name to `{file, rows, dtypes, empty}`. `attempts` are those of a call that executed the
    instance more than once, each `{status, error, duration_s, log}`, the last one this record's own. `dates` are
    the dotted keys of the config's texts that were given as dates. `outside` are the changes that the flow was seen to
    make outside its folder, in words; `brought_back` is when this earlier result took its place again. `foreign` are
    the files that were in the folder before, while it runs. It prints as a few lines.
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
    cpu_s: float | None = None
    peak_memory: int | None = None
    command: str | None = None
    error: Failure | None = None
    warnings: int | None = None
    results: dict[str, Any] | None = None
    tables: dict[str, Any] | None = None
    fingerprint: Fingerprint | None = None
    outputs: dict[str, FileState] | None = None
    environment: dict[str, Any] | None = None
    accepted: str | None = None
    accepted_reason: str | None = None
    links: list[str] | None = None
    attempts: list[dict[str, Any]] | None = None
    dates: list[str] | None = None
    outside: list[str] | None = None
    foreign: list[str] | None = None
    brought_back: str | None = None
    directory: Path = field(default=Path(), compare=False)
    skipped: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        took = "" if self.duration_s is None else f" in {self.duration_s:.4g} s"
        why = "up to date, not executed" if self.skipped else f"executed because: {self.reason or 'not known'}"
        about = {
            "error": [] if self.error is None else [self.error.line],
            "place": [] if self.error is None else [self.error.place or ""],
            "results": [f"{name} = {value!r}" for name, value in (self.results or {}).items()],
            "tables": [f"{name} ({told['rows']} rows)" for name, told in (self.tables or {}).items()],
            "outputs": list(self.outputs or {}),
            "accepted": [f"{self.accepted} ({self.accepted_reason or 'why is not known'})"] if self.accepted else [],
            "back": [f"an earlier result, brought back {self.brought_back}"] if self.brought_back else [],
            "warnings": [str(self.warnings)] if self.warnings else [],
            "attempts": [str(len(self.attempts))] if self.attempts else [],
            "folder": [str(self.directory)],
        }
        lines = [f"  {name:<9} {_few(parts)}" for name, parts in about.items() if any(parts)]
        return "\n".join([f"record of {self.step}/{self.instance_name}: {self.status}{took}, {why}", *lines])

    @property
    def not_finite(self) -> dict[str, Any] | None:
        """Where NaN or an infinity is among the results, and which; `None` if nowhere."""
        marks: dict[str, Any] | None = marks_of(self.results)
        return marks

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
    def attempt_logs(self) -> list[str]:
        """The names, in `directory`, of the logs of attempts before the last one."""
        return [told["log"] for told in self.attempts or () if told["log"] != self.log.name]

    @property
    def previous(self) -> Path | None:
        """Where the last good results are kept while no execution since has succeeded; `None` if nowhere."""
        if self.status not in (Status.FAILED, Status.INTERRUPTED):
            return None
        step = self.directory.parent
        kept = step.parent / PREVIOUS / step.name / self.directory.name
        return kept if os.path.isdir(kept) else None

    @property
    def flow_stem(self) -> str:
        """The flow's file name without its ending."""
        return PurePosixPath(self.flow or "flow").stem

    def to_json(self) -> dict[str, Any]:
        """The content of `run.json`: every key, `null` where unknown."""
        told = {name: value.to_json() if isinstance(value, Stored) else value for name, value in self._stored()}
        return told | {"results": without_marked(self.results, self.not_finite)}

    def _stored(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in _STORED)

    def without_long_parts(self) -> Record:
        """What a frame shows of it: a sweep may hold 100,000, and the rest is 5 KB each."""
        short = object.__new__(Record)  # as `but`, in a tenth of the time
        vars(short).update(vars(self), fingerprint=None, outputs=None, environment=None, tables=None)
        return short

    def but(self, **changes: Any) -> Record:
        """A copy with some fields changed."""
        return replace(self, **changes)


def _few(parts: list[str]) -> str:
    """The first of several texts, each and all of them as long as one line can be."""
    shown: list[str] = []
    for part in (_shorten(" ".join(part.split())) for part in parts):
        if shown and len(", ".join([*shown, part])) > _LONGEST_LINE:
            return f"{', '.join(shown)} and {len(parts) - len(shown)} more"
        shown.append(part)
    return ", ".join(shown)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 3]}..."


_FIELDS = tuple(item.name for item in fields(Record) if item.name not in ("directory", "skipped"))
_STORED = tuple(name for field in _FIELDS for name in ((field, "not_finite") if field == "results" else (field,)))


def read_record(directory: Path) -> Record | None:
    """The record in an instance's folder, `None` without one; raises `RecordError` for a damaged one."""
    path = os.path.join(directory, FILE_NAME)
    try:
        text = read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if os.path.isdir(path):
            raise RecordError(_IS_FOLDER.format(path=path)) from None
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
    known = {name: stored[name] for name in _FIELDS if name in stored}
    try:
        known["status"] = Status(known.get("status", ""))
        if known["status"] not in STORED:
            raise ValueError
    except ValueError:
        raise RecordError(f"{directory / FILE_NAME} has the unknown status {stored.get('status')!r}") from None
    part = misfit(known)
    if part is not None:
        raise RecordError(f"{directory / FILE_NAME}: {part} is not as an execution writes it")
    if stored.get("not_finite") is not None:
        try:
            known["results"] = with_marked(known.get("results"), stored["not_finite"])
        except ValueError as error:
            where = directory / FILE_NAME
            raise RecordError(f"{where}: not_finite is not as an execution writes it ({error})") from None
    if known.get("error") is not None:
        known["error"] = failure_from_json(known["error"])
    if known.get("fingerprint") is not None:
        known["fingerprint"] = fingerprint_from_json(known["fingerprint"])
    return Record(directory=directory, **known)


def write_record(record: Record, *, durably: bool = False) -> None:
    """Replace the record on disk; `durably`, so that after a power cut it is the old one or the new one, too."""
    with new_record(record, durably=durably):
        pass


@contextlib.contextmanager
def new_record(record: Record, *, durably: bool = False) -> Iterator[Path]:
    """The record in a file of its own, which takes the place of the one on disk at the end."""
    text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False, indent=2)
    path = record.directory / FILE_NAME
    try:
        with written_beside(path, text + "\n", durably=durably) as written:
            yield written
    except OSError:
        if os.path.isdir(path):
            raise RecordError(_IS_FOLDER.format(path=path)) from None
        raise


def asked_kernel(command: str | None) -> str | None:
    """The kernel that the call asked for which gave a record, as the record's command ends with it; `None` for none."""
    if command is None or " --kernel " not in command:
        return None
    with contextlib.suppress(ValueError):  # changed by hand
        *_, option, name = shlex.split(command)
        return name if option == "--kernel" else None
    return None


def now() -> str:
    """This moment, ISO and UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")

"""Every error that a user can meet, in one tree.

DuctaflowError
├── ConfigError            a config, a row or an instance name that cannot be used
├── ProjectError           a wrong setting in pyproject.toml, or a path outside the project
├── FlowFileError          a flow that is missing or cannot be executed as it stands
├── RecordError            a damaged run.json
├── InstanceBusyError      another process is executing the same instance
├── WorkerError            a worker process could not be started or used
├── MissingExtraError      an optional dependency is not installed
├── FlowError              one instance failed
└── InstancesFailed        one or more rows of a control dataframe failed
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd


class FailedRecord(Protocol):
    """What an error shows of an instance's record."""

    @property
    def flow(self) -> str | None: ...
    @property
    def step(self) -> str | None: ...
    @property
    def instance_name(self) -> str | None: ...
    @property
    def error(self) -> FailureText | None: ...
    @property
    def notebook(self) -> Path: ...
    @property
    def log(self) -> Path: ...
    @property
    def previous(self) -> Path | None: ...


class FailureText(Protocol):
    """What an error shows of a failure."""

    @property
    def cell(self) -> int | None: ...
    @property
    def cause(self) -> str: ...
    @property
    def headline(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def place(self) -> str | None: ...


# All control characters but the tab and the end of a line; half a character cannot be printed either.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """A text as a terminal may be given it: control characters and reversed writing as `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


class DuctaflowError(Exception):
    """Base of all errors that ductaflow raises on purpose."""

    def __str__(self) -> str:
        """The message as a terminal may be given it: a flow, a config or a file may have any name."""
        return shown(super().__str__())


class ConfigError(DuctaflowError):
    """A config value, a row or an instance name that cannot be used.

    `problems` lists every problem found, one line each; `advice`, below them, is what to do about all of them.
    """

    def __init__(self, message: str, problems: Sequence[str] = (), advice: str = "") -> None:
        self.message = message
        self.problems = tuple(problems)
        self.advice = advice
        lines = [message, *(f"  - {problem}" for problem in self.problems), *([advice] if advice else [])]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[str, ...], str]]:
        return type(self), (self.message, self.problems, self.advice)


class ProjectError(DuctaflowError):
    """A wrong setting in pyproject.toml, or a path that leaves the project or an instance's folder."""


class FlowFileError(DuctaflowError):
    """A flow that is missing, unreadable, or cannot be executed as it stands."""


class RecordError(DuctaflowError):
    """A `run.json` that cannot be read; the message says which and why."""


class InstanceBusyError(DuctaflowError):
    """Another process is executing this instance at this moment, or has done so since it was looked at."""


class WorkerError(DuctaflowError):
    """A worker process could not be started, or broke off."""


class MissingExtraError(DuctaflowError):
    """An optional dependency is not installed; the message names the command that installs it."""


class FlowError(DuctaflowError):
    """One instance failed. `record` is its record; the message names cell, cause, notebook and log."""

    def __init__(self, record: FailedRecord) -> None:
        self.record = record
        super().__init__(describe_failure(record))

    def __reduce__(self) -> tuple[type[FlowError], tuple[FailedRecord]]:
        return type(self), (self.record,)


class InstancesFailed(DuctaflowError):  # noqa: N818 - the public name is a contract
    """Rows of a control dataframe failed. `results` is the frame, `records` the failed rows' records.

    The message counts equal failures together; `note` is what else there is to say.
    """

    def __init__(self, records: Sequence[FailedRecord], results: pd.DataFrame, note: str = "") -> None:
        self.records = tuple(records)
        self.results = results
        self.note = note
        super().__init__(self._text(summarise_failures(self.records)))

    def in_brief(self) -> str:
        """The message for somebody who has been told the first failure of each kind in full."""
        return self._text(summarise_failures(self.records, told=True))

    def _text(self, lines: list[str]) -> str:
        first = f"{len(self.records)} of {len(self.results)} instances failed:"
        return "\n".join([first, *lines, *([self.note] if self.note else [])])

    def __reduce__(self) -> tuple[type[InstancesFailed], tuple[tuple[FailedRecord, ...], pd.DataFrame, str]]:
        return type(self), (self.records, self.results, self.note)


_FEW = 3
_MOST_KINDS = 6
_MOST_NAMES = 5
_LONGEST = 320
_LONGEST_LINE = 2_000


def summarise_failures(records: Sequence[FailedRecord], *, told: bool = False) -> list[str]:
    """Few failures one by one, unless they have been `told` already; many by their kinds, the commonest first.

    Who watches has been told the first of each kind with its files as it happened, if there are few kinds. What of many
    kinds has not been told is named with a log.
    """
    step = records[0].step
    frame = "the frame that is returned" if told else '.results of this error (on_error="continue" returns them)'
    rows = f"  all rows: {frame}, load_results({step!r}), or: ductaflow status {step}"
    apart = f"  one of them, cell by cell: ductaflow debug {shlex.quote(_folder(records[0]))}"
    if len(records) <= _FEW and not told:
        return [*(f"  {describe_failure(record, 3, files=False)}" for record in records), rows, apart]
    kinds: dict[str, list[FailedRecord]] = {}
    for record in records:
        kinds.setdefault(kind_of(record), []).append(record)
    ordered = sorted(kinds.values(), key=lambda alike: -len(alike))
    width = len(str(len(ordered[0])))
    lines = []
    for place, alike in enumerate(ordered[:_MOST_KINDS]):
        names = ", ".join(str(record.instance_name) for record in alike[:_MOST_NAMES])
        more = f" and {len(alike) - _MOST_NAMES} more" if len(alike) > _MOST_NAMES else ""
        lines.append(f"  {len(alike):>{width}}  {_cut(_in_common(alike))}  ({names}{more})")
        if place < _FEW < len(ordered):
            lines.append(f"  {'':{width}}  log: {alike[0].log}")
    if len(ordered) > _MOST_KINDS:
        rest = sum(map(len, ordered[_MOST_KINDS:]))
        lines.append(f"  {rest:>{width}}  of {len(ordered) - _MOST_KINDS} other kinds")
    return [*lines, rows, apart]


def _folder(record: FailedRecord) -> str:
    """An instance's folder as it is typed: relative where that is shorter."""
    folder = os.path.dirname(record.log)
    try:
        return min(folder, os.path.relpath(folder), key=len)
    except OSError:  # the working directory is gone
        return folder


def kind_of(record: FailedRecord) -> str:
    """What equal failures have in common."""
    return "unknown error" if record.error is None else record.error.kind


def _in_common(alike: Sequence[FailedRecord]) -> str:
    """The headline of equal failures; where numbers in it differ, `...` for these."""
    headlines = {"unknown error" if record.error is None else record.error.headline for record in alike}
    return headlines.pop() if len(headlines) == 1 else kind_of(alike[0])


def _cut(text: str, longest: int = _LONGEST) -> str:
    """In the middle, for a message ends with what to do."""
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def describe_failure(record: FailedRecord, most_lines: int | None = None, *, files: bool = True) -> str:
    """What failed, where, why, and the `files` that show it; `most_lines`: not more of a message with long lines."""
    error = record.error
    where = f" in cell {error.cell}" if error is not None and error.cell else ""
    cause = "unknown error" if error is None else error.cause
    lines = cause.splitlines()
    if most_lines is not None and (len(lines) > most_lines or len(cause) > _LONGEST_LINE):
        more = [f"... and {len(lines) - most_lines} more lines"] if len(lines) > most_lines else []
        cause = "\n".join([*(_cut(line, _LONGEST_LINE) for line in lines[:most_lines]), *more])
    parts = [f"{record.flow}, instance {record.step}/{record.instance_name}: {cause}{where}"]
    if error is not None and error.place:
        parts.append(error.place)
    if not files:
        return "\n    ".join(parts)
    if os.path.isfile(record.notebook):
        parts.append(f"notebook: {record.notebook}")
    parts.append(f"log: {record.log}")
    if record.previous is not None:
        parts.append(f"the last good results are kept in {record.previous}")
    return "\n    ".join(parts)

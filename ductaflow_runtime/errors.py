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


class DuctaflowError(Exception):
    """Base of all errors that ductaflow raises on purpose."""


class ConfigError(DuctaflowError):
    """A config value, a row or an instance name that cannot be used.

    `problems` lists every problem found, one line each.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.message = message
        self.problems = tuple(problems)
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.problems)


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
    """Rows of a control dataframe failed. `results` is the frame, `records` the failed rows' records."""

    def __init__(self, records: Sequence[FailedRecord], results: pd.DataFrame) -> None:
        self.records = tuple(records)
        self.results = results
        lines = [f"{len(self.records)} of {len(results)} instances failed:"]
        lines += [f"  {describe_failure(record)}" for record in self.records]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[InstancesFailed], tuple[tuple[FailedRecord, ...], pd.DataFrame]]:
        return type(self), (self.records, self.results)


def describe_failure(record: FailedRecord) -> str:
    """What failed, where, why, and the files that show it."""
    error = record.error
    where = f" in cell {error.cell}" if error is not None and error.cell else ""
    cause = "unknown error" if error is None else error.cause
    parts = [f"{record.flow}, instance {record.step}/{record.instance_name}: {cause}{where}"]
    if record.notebook.is_file():
        parts.append(f"notebook: {record.notebook}")
    parts.append(f"log: {record.log}")
    if record.previous is not None:
        parts.append(f"the last good results are kept in {record.previous}")
    return "\n    ".join(parts)

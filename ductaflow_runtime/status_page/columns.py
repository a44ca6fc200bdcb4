"""The columns of the page, in one table: how each is called and written, and where it is shown.

The scripts draw what they are told here, so a new column is a new line in `COLUMNS`. A few columns are besides known
to them by name, for they are more than a value: `step` and `name` address an instance, `status` is its light,
`files` are its links.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ductaflow_runtime.runs.instance import CONFIG_NAME, LOG_NAME
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import STATES, Status
from ductaflow_runtime.status_page.failures import failure_labels
from ductaflow_runtime.status_page.row import Row, milliseconds

Values = Callable[[Sequence[Row]], Iterable[Any]]
PLACE = "\u0000"
"""Stands in a command for the instance's own path, so that equal commands are stored once."""


class Group(StrEnum):
    """Where a column's values come from."""

    ABOUT = "about"
    CONFIG = "config"
    RESULT = "result"


class Format(StrEnum):
    """How a value is written."""

    VALUE = "value"
    TEXT = "text"
    STATUS = "status"
    COUNT = "count"
    DURATION = "duration"
    TIME = "time"
    MEMORY = "memory"


class When(StrEnum):
    """Which rows make the table show a column."""

    NEVER = ""
    ALWAYS = "always"
    FILLED = "filled"
    """Some row has a value."""
    VARIED = "varied"
    """The rows differ in it; what does not vary is told once, above the table."""
    SEVERAL = "several"
    """There are at least two values."""
    NONZERO = "nonzero"


@dataclass(frozen=True)
class Look:
    """How a column is written, and where it is shown.

    `fact` are the words before the value in an opened row, the noun that is counted for a count; without, it is not
    shown there. `search`: the search looks at it; `compare`: it is a line of the comparison; `axis` and `colour`: the
    chart offers it; `wide`: its texts are given more room; `csv`: its heading in a saved file.
    """

    format: Format = Format.TEXT
    table: When = When.NEVER
    fact: str = ""
    search: bool = False
    compare: bool = False
    axis: bool = False
    colour: bool = False
    wide: bool = False
    csv: str = ""

    def told(self, name: str) -> dict[str, Any]:
        """What the scripts are told of the column `name`; what is missing is false or empty."""
        told = {each.name: value for each in fields(self) if (value := getattr(self, each.name))}
        return told | ({"csv": self.csv.replace("{name}", name)} if self.csv else {})


@dataclass(frozen=True)
class Column:
    """One column: `values` of all rows, `None` where a row has none."""

    name: str
    label: str
    values: Values
    look: Look = Look()


@dataclass(frozen=True)
class Parts:
    """All columns of a group, which the rows bring along."""

    group: Group
    look: Look


def environment(row: Row, name: str) -> Any:
    """A part of where the instance was executed, `None` if unknown."""
    return (row.record.environment or {}).get(name)


def command(row: Row) -> str | None:
    """The line that reproduces the instance."""
    return row.record.command and row.record.command.replace(f"{row.step}/{row.name}", PLACE)


def debugging(row: Row) -> str | None:
    """The line that takes a failed instance apart, with its folder as `command` has it."""
    if not STATES[row.status].failure or row.record.command is None:
        return None
    with contextlib.suppress(ValueError):  # changed by hand
        end = f"/{row.step}/{row.name}/{CONFIG_NAME}"
        for part in shlex.split(row.record.command):
            if part.endswith(end):
                folder = shlex.quote(part.removesuffix(f"/{CONFIG_NAME}"))
                return f"ductaflow debug {folder}".replace(f"{row.step}/{row.name}", PLACE)
    return None


def worker(row: Row) -> int | None:
    """The number of the worker that executed it."""
    number = environment(row, "worker")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def where(row: Row) -> str | None:
    """Flow, Python, machine and commit in one line."""
    commit = text(environment(row, "git_commit"))
    changed = " with uncommitted changes" if environment(row, "git_dirty") else ""
    python = text(environment(row, "python"))
    parts = (
        row.record.flow,
        f"Python {python}" if python else None,
        text(environment(row, "platform")),
        text(environment(row, "host")),
        f"git {commit[:10]}{changed}" if commit else None,
    )
    return ", ".join(part for part in parts if part) or None


def error(row: Row) -> str | None:
    """What went wrong, as `load_results` tells it."""
    if row.status is Status.DAMAGED:
        return row.problem
    return None if row.record.error is None else row.record.error.line


def files(row: Row) -> str:
    """A letter for each artifact that exists, and the stem of the notebook: `nlcr:assign_traffic`."""
    names = {"n": row.notebook, "h": f"{row.flow_stem}.html", "l": LOG_NAME, "c": CONFIG_NAME, "r": FILE_NAME}
    return "".join(letter for letter, name in names.items() if name in row.files) + ":" + row.flow_stem


def text(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def each(value: Callable[[Row], Any]) -> Values:
    """A column whose value depends on its row alone."""
    return lambda rows: map(value, rows)


COLUMNS: tuple[Column | Parts, ...] = (
    Column(
        "name", "instance", each(lambda row: row.name),
        Look(table=When.ALWAYS, search=True, wide=True, csv="instance_name"),
    ),
    Column(
        "status", "status", each(lambda row: str(row.status)),
        Look(Format.STATUS, When.ALWAYS, search=True, compare=True, axis=True, colour=True, csv="status"),
    ),
    Column(
        "stale", "no longer up to date", each(lambda row: row.stale),
        Look(table=When.FILLED, search=True, compare=True, wide=True, csv="not_up_to_date"),
    ),
    Column(
        "rowless", "without a row", each(lambda row: "no row any more" if row.rowless else None),
        Look(table=When.FILLED, fact="control dataframe:", search=True, compare=True, csv="without_a_row"),
    ),
    Column("step", "step", each(lambda row: row.step), Look(table=When.SEVERAL, axis=True, colour=True, csv="step")),
    Parts(
        Group.CONFIG,
        Look(Format.VALUE, When.VARIED, search=True, compare=True, axis=True, colour=True, csv="{name}"),
    ),
    Parts(
        Group.RESULT,
        Look(Format.VALUE, When.FILLED, search=True, compare=True, axis=True, colour=True, csv="result.{name}"),
    ),
    Column(
        "failure", "error", failure_labels,
        Look(table=When.FILLED, search=True, compare=True, axis=True, colour=True, wide=True),
    ),
    Column("error", "exact error", each(error), Look(search=True, csv="error")),
    Column(
        "warnings", "warnings", each(lambda row: row.record.warnings),
        Look(Format.COUNT, When.NONZERO, fact="warning", compare=True, axis=True, csv="warnings"),
    ),
    Column(
        "duration_s", "duration", each(lambda row: row.record.duration_s),
        Look(Format.DURATION, When.FILLED, fact="took", compare=True, axis=True, colour=True, csv="duration_s"),
    ),
    Column(
        "peak_memory", "peak memory", each(lambda row: row.record.peak_memory),
        Look(Format.MEMORY, When.FILLED, fact="peak memory", compare=True, axis=True, colour=True, csv="peak_memory"),
    ),
    Column(
        "cpu_s", "CPU time", each(lambda row: row.record.cpu_s),
        Look(Format.DURATION, fact="CPU time", compare=True, axis=True, colour=True, csv="cpu_s"),
    ),
    Column(
        "started", "started", each(lambda row: row.began),
        Look(Format.TIME, When.FILLED, fact="started", axis=True, csv="started"),
    ),
    Column(
        "accepted", "accepted", each(lambda row: milliseconds(row.record.accepted)),
        Look(Format.TIME, When.FILLED, fact="accepted without being executed", csv="accepted"),
    ),
    Column(
        "accepted_reason", "accepted although", each(lambda row: text(row.record.accepted_reason)),
        Look(table=When.FILLED, fact="accepted although:", search=True, wide=True, csv="accepted_reason"),
    ),
    Column("worker", "worker", each(worker), Look(fact="worker", axis=True, colour=True)),
    Column(
        "reason", "reason", each(lambda row: text(row.record.reason)),
        Look(table=When.FILLED, fact="ran because:", search=True, csv="reason"),
    ),
    Column("problem", "problem", each(lambda row: row.problem), Look(search=True)),
    Column("command", "command", each(command)),
    Column("debug", "debug", each(debugging)),
    Column("where", "where", each(where)),
    Column("files", "files", each(files)),
)  # fmt: skip

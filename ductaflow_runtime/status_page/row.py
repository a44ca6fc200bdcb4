"""A row of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status

Order = tuple[tuple[int, int, str], ...]


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

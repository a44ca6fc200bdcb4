"""A row of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status

Order = tuple[tuple[int, float, str], ...]

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)*(?:e[-+][0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Row:
    """One instance on the page.

    `status` is the state of its folder, or `WARNED`; `problem` says what is wrong with the record itself.
    `record` is without tables, and without results and fingerprint, which are `results` and `config` with dotted names;
    `defaults` are the parameters that the config says nothing of, as they were executed.
    `files` are the names beside it; `stale` is why the result is not up to date, if somebody said so, `rowless` that no
    control dataframe asks for it any more; `began` and `ended` are in milliseconds since 1970.
    """

    step: str
    name: str
    directory: Path
    status: Status
    problem: str | None = None
    record: Record = field(default_factory=Record)
    config: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    flow_stem: str = ""
    stale: str | None = None
    rowless: bool = False
    began: int | None = None
    ended: int | None = None
    order: tuple[Order, Order] = ((), ())

    @property
    def notebook(self) -> str:
        """The name of the executed notebook."""
        return f"{self.flow_stem}.ipynb"


def natural_key(name: str) -> Order:
    """Orders numbers by value, `0.05` before `0.3`, versions such as `1.10.2` part by part, and letters without case.

    The page's `natural.js` orders likewise.
    """
    key: list[tuple[int, float, str]] = []
    for place, part in enumerate(_NUMBER.split(name.casefold())):
        if place % 2:
            numbers = part.split(".") if part.count(".") > 1 else [part]
            key += [(0, int(number) if number.isdecimal() else float(number), "") for number in numbers]
        elif part:
            key.append((1, 0, part))
    return tuple(key)


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

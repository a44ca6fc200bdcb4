"""What is no longer up to date, as somebody who can tell has found: this package only shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ductaflow_runtime.runs.record import now
from ductaflow_runtime.runs.states import STATES
from ductaflow_runtime.status_page.row import Row, milliseconds


@dataclass(frozen=True)
class Staleness:
    """Why instances are not up to date, by step and name; `at` is the time (ISO, UTC) when they were looked at."""

    reasons: Mapping[tuple[str, str], str]
    at: str = field(default_factory=now)


def mark(rows: list[Row], staleness: Staleness) -> list[Row]:
    """The rows, with the reason at those whose result is out of date.

    One that failed has no result that could be, and one that was executed since then is up to date.
    """
    looked = milliseconds(staleness.at) or 0
    return [
        replace(row, stale=reason)
        if (reason := staleness.reasons.get((row.step, row.name))) and _has_result(row) and (row.began or 0) <= looked
        else row
        for row in rows
    ]


def _has_result(row: Row) -> bool:
    state = STATES[row.status]
    return state.final and not state.failure

"""What is no longer up to date, as somebody who can tell has found: this package only shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ductaflow_runtime.runs.record import now
from ductaflow_runtime.runs.states import STATES
from ductaflow_runtime.status_page.page_cache import forget, remember, remembered
from ductaflow_runtime.status_page.row import Row, milliseconds

_MARKED = "marked"


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


def remember_marks(runs_dir: Path, rows: Iterable[Row]) -> None:
    """Keep which rows the page that stays shows as out of date."""
    marked = [(row.step, row.name) for row in rows if row.stale is not None]
    if marked:
        remember(runs_dir, _MARKED, marked)
    else:
        forget(runs_dir, _MARKED)


def marked(runs_dir: Path) -> set[tuple[str, str]]:
    """The step and name of each row that the page shows as out of date."""
    with contextlib.suppress(ValueError, TypeError):
        return {(step, name) for step, name in remembered(runs_dir, _MARKED)}
    return set()


def _has_result(row: Row) -> bool:
    state = STATES[row.status]
    return state.final and not state.failure

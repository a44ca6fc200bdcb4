"""What is no longer up to date, as somebody who can tell has found: this package only shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from ductaflow_runtime.runs.record import now
from ductaflow_runtime.runs.states import STATES
from ductaflow_runtime.status_page.page_cache import forget, remember, remembered
from ductaflow_runtime.status_page.row import Row, milliseconds

_MARKED = "marked"
_ROWLESS = "rowless"
Place = tuple[str, str]  # step and name


@dataclass(frozen=True)
class Staleness:
    """Why instances are not up to date, by step and name, and which have lost their row.

    `at` is the time (ISO, UTC) when they were looked at.
    """

    reasons: Mapping[Place, str]
    at: str = field(default_factory=now)
    rowless: Set[Place] = frozenset()


def mark(rows: list[Row], staleness: Staleness) -> list[Row]:
    """The rows, with the reason at those whose result is out of date, and those marked that have lost their row.

    One that failed has no result that could be out of date, and one that was executed since then is up to date.
    """
    looked = milliseconds(staleness.at) or 0
    found = []
    for row in rows:
        place = row.step, row.name
        reason = staleness.reasons.get(place) if _has_result(row) and (row.began or 0) <= looked else None
        rowless = place in staleness.rowless
        found.append(replace(row, stale=reason, rowless=rowless) if reason or rowless else row)
    return found


def remember_marks(runs_dir: Path, rows: Sequence[Row], rowless: Set[Place]) -> None:
    """Keep which rows the page that stays shows as out of date, and which as having lost their row."""
    _keep(runs_dir, _MARKED, [(row.step, row.name) for row in rows if row.stale is not None])
    _keep(runs_dir, _ROWLESS, sorted(rowless))


def marked(runs_dir: Path) -> set[Place]:
    """The step and name of each row that the page shows as out of date."""
    return _kept(runs_dir, _MARKED)


def marked_rowless(runs_dir: Path) -> set[Place]:
    """The step and name of each row that the page shows as having lost its row."""
    return _kept(runs_dir, _ROWLESS)


def _keep(runs_dir: Path, name: str, places: Sequence[Place]) -> None:
    if places:
        remember(runs_dir, name, places)
    else:
        forget(runs_dir, name)


def _kept(runs_dir: Path, name: str) -> set[Place]:
    with contextlib.suppress(ValueError, TypeError):
        return {(step, name) for step, name in remembered(runs_dir, name)}
    return set()


def _has_result(row: Row) -> bool:
    state = STATES[row.status]
    return state.final and not state.failure

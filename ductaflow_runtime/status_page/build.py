"""Writes `runs/index.html` from the records on disk, cheaply enough to repeat it while a sweep runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.runs.instance import HIDDEN
from ductaflow_runtime.runs.record import now
from ductaflow_runtime.status_page.data import page_data
from ductaflow_runtime.status_page.details import DetailReader
from ductaflow_runtime.status_page.figures import FigureReader, summary
from ductaflow_runtime.status_page.html import page_html, script_json
from ductaflow_runtime.status_page.rows import RowReader
from ductaflow_runtime.status_page.stale_marks import Staleness, mark, remember_marks

PAGE_FILE = "index.html"
PAGE_BUDGET = 13_000_000
FIGURE_BUDGET = 8_000_000
LIVE_FIGURE_BUDGET = 1_500_000
FIGURE_SECONDS = 4.0
LIVE_FIGURE_SECONDS = 0.3
PATIENT_FIGURE_SECONDS = 20.0
"""For somebody who asked for the page and nothing else."""
SHORTEST_INTERVAL_S = 2.0
SOON_OVER_S = 10.0
LARGEST_SHARE = 0.02
"""Of the time, that a sweep spends on rewriting the page."""


class PageWriter:
    """Writes the page of one `runs_dir`; what it parsed for one writing serves the next.

    `staleness` may be set at any time; without, the page says that nobody has looked.
    """

    def __init__(self, runs_dir: Path, title: str, staleness: Staleness | None = None) -> None:
        self._runs_dir = Path(runs_dir)
        self._title = title
        self._rows = RowReader(self._runs_dir)
        self._details = DetailReader()
        self._figures = FigureReader(self._runs_dir)
        self.staleness = staleness
        # Where there is a page, a sweep that is soon over needs only the one at its end.
        self._due = time.monotonic() + SOON_OVER_S if os.path.isfile(self._runs_dir / PAGE_FILE) else 0.0

    def write(self, running: bool = False, seconds: float = FIGURE_SECONDS) -> Path:
        """Replaces the page atomically. A `running` one reloads itself until a later one says otherwise.

        `seconds` may be spent on making figures smaller, if they are too many.
        """
        began = time.monotonic()
        path = self._runs_dir / PAGE_FILE
        _replace(path, self._html(running, seconds))
        if not running:
            self._rows.keep()
            self._figures.keep()
        ended = time.monotonic()
        self._due = ended + max(SHORTEST_INTERVAL_S, (ended - began) / LARGEST_SHARE)
        return path

    def write_if_due(self) -> bool:
        """Writes the page of a running sweep, at most every two seconds and a fiftieth of the time."""
        if time.monotonic() < self._due:
            return False
        self.write(running=True)
        return True

    def _html(self, running: bool, seconds: float) -> str:
        rows = self._rows.read()
        if self.staleness is not None:
            rows = mark(rows, self.staleness)
        if not running:
            remember_marks(self._runs_dir, rows, self.staleness.rowless if self.staleness is not None else frozenset())
        written = now()
        blocks = {
            "page-data": script_json(page_data(rows)),
            "page-details": script_json(self._details.read(rows)),
        }
        left = PAGE_BUDGET - sum(map(len, blocks.values()))
        budget = max(0, min(left, LIVE_FIGURE_BUDGET if running else FIGURE_BUDGET))
        figures = self._figures.read(rows, budget, LIVE_FIGURE_SECONDS if running else seconds)
        blocks["page-figures"] = script_json(figures)
        blocks["page-about"] = script_json(
            {
                "title": self._title,
                "written": written,
                "running": running,
                "examined": self.staleness.at if self.staleness is not None else None,
                "figures": summary(figures),
            }
        )
        return page_html(self._title, blocks)


def write_page(runs_dir: Path, *, title: str, running: bool = False, staleness: Staleness | None = None) -> Path:
    """Writes `runs_dir/index.html` once and returns its path."""
    return PageWriter(runs_dir, title, staleness).write(running, PATIENT_FIGURE_SECONDS)


def _replace(path: Path, text: str) -> None:
    """By way of `.ductaflow/`, since nothing but instances and `index.html` may appear beside it."""
    scratch = path.parent / HIDDEN
    scratch.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode("utf-8", errors="replace").decode(), by_way_of=scratch)

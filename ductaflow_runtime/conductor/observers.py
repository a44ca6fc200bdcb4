"""Who is told what becomes of a call's rows, as it happens: the terminal and the status page."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.upkeep import staleness_of
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import BUSY, Plan
from ductaflow_runtime.status_page.live import LivePage, write_at_exit
from ductaflow_runtime.worker.pool import pool

_LONGEST = 100


class Observer:
    """Is told, in this order, and does nothing about it; others override what they care for."""

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """What must run is known; `refreshed` rows only had other text."""

    def begun(self, total: int, workers: int) -> None:
        """`total` rows are handed to `workers`."""

    def waited(self) -> None:
        """Some time has passed, or a row has ended."""

    def ended(self, outcome: Outcome) -> None:
        """One more row has ended."""

    def finished(self) -> None:
        """Nothing more comes, be it that all have ended or that somebody broke it off."""


class Announcement(Observer):
    """One line before anything runs."""

    def __init__(self, step: str) -> None:
        self._step = step

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Say it."""
        print(announce(self._step, plans, refreshed), file=sys.stderr, flush=True)  # noqa: T201


class SweepPage(Observer):
    """The status page, rewritten while a sweep executes something."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._page: LivePage | None = None

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """A sweep that executes nothing leaves the page alone, and so does one inside a flow."""
        if self._project.settings.page and current() is None and any(plan.reason for plan in plans):
            self._page = LivePage(self._project.runs_dir, self._project.title, partial(staleness_of, self._project))

    def waited(self) -> None:
        """Rewrite it if it is time to."""
        if self._page is not None:
            self._page.tick()

    def finished(self) -> None:
        """Write it as it stays."""
        if self._page is not None:
            self._page.finish()


class PageAtExit(Observer):
    """The status page after single instances: written once, when this process ends."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._wanted = False

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """An instance that need not run leaves the page alone, and so does one inside a flow."""
        self._wanted = self._project.settings.page and current() is None and any(plan.reason for plan in plans)

    def finished(self) -> None:
        """Remember it."""
        if self._wanted:
            write_at_exit(self._project.runs_dir, self._project.title, partial(staleness_of, self._project))


class Waiting(Observer):
    """A line for each instance that another process is executing and that is waited for."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[str] = set()

    def waited(self) -> None:
        """Name those that have not been named."""
        for address, who in sorted(pool().waiting.items()):
            if address not in self._told:
                self._told.add(address)
                self._say(f"{address}: waiting for another process ({who})")


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def announce(step: str, plans: Sequence[Plan], refreshed: int = 0) -> str:
    """One line that says what will run and why, the commonest reasons first, and what need not run."""
    counts = Counter(plan.reason for plan in plans)
    idle, busy = counts.pop(None, 0) - refreshed, counts.pop(BUSY, 0)
    told = [f"{count} {_shorten(str(reason))}" for reason, count in counts.most_common(3)]
    if len(counts) > 3:
        told.append(f"{sum(count for _, count in counts.most_common()[3:])} for other reasons")
    why = f" ({' | '.join(told)})" if told else ""
    parts = [f"{counts.total()} to run{why}"]
    parts += [f"{count} {what}" for count, what in ((busy, BUSY), (refreshed, Status.REFRESHED)) if count]
    if idle or not refreshed:
        parts.append(f"{idle} {Status.UP_TO_DATE}")
    return f"{step}: {', '.join(parts)}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

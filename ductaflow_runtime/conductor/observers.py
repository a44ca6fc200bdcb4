"""Who is told what becomes of a call's rows, as it happens: the terminal and the status page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ductaflow_runtime.conductor.announcement import announce
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.project_staleness import staleness_of
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.control import not_in_control
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.status_page.live import LivePage, write_at_exit
from ductaflow_runtime.status_page.stale_marks import marked, marked_rowless
from ductaflow_runtime.terminal import say
from ductaflow_runtime.worker.pool import pool

Running = Callable[[], Sequence[Instance]]


class Observer:
    """Is told, in this order, and does nothing about it; others override what they care for."""

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """What must run is known; `refreshed` rows only had other text."""

    def begun(self, total: int, workers: int, running: Running) -> None:
        """`total` rows are handed to `workers`; `running` tells which are being executed whenever it is asked."""

    def waited(self) -> None:
        """Some time has passed, or a row has ended."""

    def ended(self, outcome: Outcome) -> None:
        """One more row has ended."""

    def broken_off(self, names: Sequence[str]) -> None:
        """Somebody broke it off while these rows were being executed."""

    def finished(self) -> None:
        """Nothing more comes, be it that all have ended or that somebody broke it off."""


class Announcement(Observer):
    """One line before anything runs."""

    def __init__(self, project: Project, step: str) -> None:
        self._project = project
        self._step = step

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Say it."""
        lost = len(not_in_control(self._project.runs_dir, self._step))
        more = f", {lost} on disk without a row" if lost else ""
        say(announce(self._step, plans, refreshed) + more)


class SweepPage(Observer):
    """The status page, rewritten while a sweep executes something."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._page: LivePage | None = None

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """A sweep that executes nothing leaves a page alone that is right, and one inside a flow any."""
        if _needs_page(self._project, plans) or _lacks_rowless(self._project, plans):
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
        """An instance that need not run leaves a page alone that is right, and one inside a flow any."""
        self._wanted = _needs_page(self._project, plans)

    def finished(self) -> None:
        """Remember it."""
        if self._wanted:
            write_at_exit(self._project.runs_dir, self._project.title, partial(staleness_of, self._project))


def _needs_page(project: Project, plans: Sequence[Plan]) -> bool:
    """Whether something is executed or brought back, or the page calls something out of date that is not."""
    if not project.settings.page or current() is not None:
        return False
    if any(plan.told for plan in plans):
        return True
    outdated = marked(project.runs_dir)
    return bool(outdated) and any((plan.instance.step, plan.instance.name) in outdated for plan in plans)


def _lacks_rowless(project: Project, plans: Sequence[Plan]) -> bool:
    """Whether other instances of the step than those that the page shows as such have lost their row."""
    if not plans or not project.settings.page or current() is not None:
        return False
    step = plans[0].instance.step
    lost = {(step, name) for name in not_in_control(project.runs_dir, step)}
    return lost != {place for place in marked_rowless(project.runs_dir) if place[0] == step}


class Waiting(Observer):
    """A line for the first instance that another process is executing and that is waited for; of many, their number."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen: set[str] = set()
        self._next = 1

    def waited(self) -> None:
        """Name the first; after it, say at ten times as many each how many there have been."""
        new = [(address, who) for address, who in sorted(pool().waiting.items()) if address not in self._seen]
        if not new:
            return
        self._seen.update(address for address, _ in new)
        address, who = new[0]
        if self._next == 1:
            more = f", and for {len(new) - 1} more at the same time" if len(new) > 1 else ""
            self._say(f"{address}: waiting for another process ({who}){more}")
        elif len(self._seen) >= self._next:
            self._say(f"{address}: waiting for another process ({who}), as for {len(self._seen) - 1} rows before it")
        while self._next <= len(self._seen):
            self._next *= 10


class Retrying(Observer):
    """A line for each failed instance that is executed again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def waited(self) -> None:
        """Say what has come together."""
        retries = pool().retries
        while retries:
            self._say(retries.popleft())

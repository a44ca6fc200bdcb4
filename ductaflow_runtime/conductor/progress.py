"""One line for a sweep that lives: how many are done and failed, how long it has taken, how long it may take, and what
takes longest. In a terminal or a notebook it is a bar; elsewhere a line every 30 s, for a log file.

Of each kind of failure the first is told in full as it happens, of few kinds; all are counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.estimate import Estimate
from ductaflow_runtime.conductor.observers import Observer, Running
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import describe_failure, kind_of, shown
from ductaflow_runtime.execution.context import in_kernel
from ductaflow_runtime.files import open_regular
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import LOG_NAME, Instance
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.terminal import say

if TYPE_CHECKING:
    from tqdm.std import tqdm

LINE_EVERY_S = 30.0
_LOOK_EVERY_S = 0.5
_LONG_S = 10.0
_MOST_KINDS = 3
_MOST_LINES = 2
_LONGEST_SAID = 60
_END_OF_LOG = 4096


class Progress(Observer):
    """The progress of one sweep; `clock` tells seconds."""

    def __init__(self, project: Project, step: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._project = project
        self._step = step
        self._clock = clock
        self._total = 0
        self._begun = self._told = self._looked = clock()
        self._counts: Counter[Status] = Counter()
        self._kinds: set[str] = set()
        self._estimate = Estimate()
        self._running: Running = tuple
        self._since: dict[str, float] = {}
        self._slowest: Instance | None = None
        self._bar: tqdm[Any] | None = None

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Learn how long the rows took before."""
        self._estimate = Estimate.of_plans(plans)

    def begun(self, total: int, workers: int, running: Running) -> None:
        """Open the line."""
        self._total, self._running = total, running
        self._estimate.workers = workers
        self._begun = self._told = self._looked = self._clock()
        self._bar = _bar(self._step, total)
        self._show()

    def waited(self) -> None:
        """Show how time goes by."""
        moment = self._clock()
        if self._bar is None:
            if moment - self._told >= LINE_EVERY_S:
                self._told = moment
                self._look(moment)
                self.say(f"{self._step}: {self._counts.total()} of {self._total}, {self.text()}")
        elif moment - self._looked >= _LOOK_EVERY_S:
            self._look(moment)
            self._show()

    def ended(self, outcome: Outcome) -> None:
        """Count it, and tell the first failure of a kind; what was taken back has not ended."""
        if outcome.status is Status.NOT_RUN:
            return
        self._counts[outcome.status] += 1
        self._since.pop(outcome.instance.name, None)
        self._estimate.ended(outcome)
        if outcome.status is Status.FAILED:
            self._tell_failure(outcome)
        if self._bar is not None:
            self._bar.set_postfix_str(self.text(), refresh=False)
            self._bar.update(1)

    def finished(self) -> None:
        """Leave the line as it is."""
        if self._bar is not None:
            self._bar.set_postfix_str(self.text(), refresh=False)
            self._bar.close()

    def text(self) -> str:
        """How it goes, in words."""
        parts = [f"{self._counts[Status.FAILED]} failed"]
        if self._since:
            parts.append(f"{len(self._since)} running")
        parts.append(duration(self._clock() - self._begun))
        left = self._estimate.left(sum(self._clock() - since for since in self._since.values()))
        if left is not None and self._counts.total() < self._total:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts) + self._longest()

    def _longest(self) -> str:
        """The row that has been running for longest, and what it printed last, once it is worth knowing."""
        slowest = self._slowest
        if slowest is None or slowest.name not in self._since:
            return ""
        seconds = self._clock() - self._since[slowest.name]
        if seconds < _LONG_S:
            return ""
        said = shown(_last_line(slowest))
        return f"; longest: {slowest.name} {duration(seconds)}" + (f" ({said})" if said else "")

    def _look(self, moment: float) -> None:
        self._looked = moment
        running = {instance.name: instance for instance in self._running()}
        self._since = {name: self._since.get(name, moment) for name in running}
        longest = min(self._since, key=lambda name: self._since[name], default=None)
        self._slowest = None if longest is None else running[longest]

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self.text(), refresh=False)
            self._bar.refresh()

    def _tell_failure(self, outcome: Outcome) -> None:
        record = outcome.as_record(self._project)
        kind = kind_of(record)
        if kind in self._kinds:
            return
        self._kinds.add(kind)
        if len(self._kinds) <= _MOST_KINDS:
            self.say(f"failed: {describe_failure(record, _MOST_LINES)}")
        elif len(self._kinds) == _MOST_KINDS + 1:
            self.say("failed: rows for other reasons too; they are told at the end")

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):  # the terminal has gone
                self._bar.write(shown(text), file=sys.stderr)
        else:
            say(text)


def duration(seconds: float) -> str:
    """A time in seconds as `0:36`, or `2:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _last_line(instance: Instance) -> str:
    """What an instance printed last."""
    try:
        with open_regular(instance.directory / LOG_NAME) as file:
            file.seek(max(0, file.seek(0, 2) - _END_OF_LOG))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = (lines[-1] if lines else "").partition(" | ")[2].strip().removeprefix("ductaflow: ")
    return said if len(said) <= _LONGEST_SAID else said[: _LONGEST_SAID - 3] + "..."


def _bar(step: str, total: int) -> tqdm[Any] | None:
    settings: dict[str, Any] = {
        "total": total,
        "desc": step,
        "dynamic_ncols": True,
        "bar_format": "{desc}: {n_fmt}/{total_fmt} |{bar:20}|{postfix}",
    }
    if in_kernel() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(**settings)
    if in_kernel() or (sys.stderr is not None and sys.stderr.isatty()):
        from tqdm.std import tqdm as terminal_bar

        return terminal_bar(**settings, file=sys.stderr)
    return None

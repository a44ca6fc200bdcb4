"""One line for a sweep: counts, rate, remaining time. Where nobody watches, one now and then; failures always named."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import describe_failure
from ductaflow_runtime.execution.context import in_kernel
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    from tqdm.std import tqdm
_LINE_EVERY_S = 30.0


class Progress(Observer):
    """The progress of one sweep."""

    def __init__(self, project: Project, step: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._told = clock()
        self._project = project
        self._step = step
        self._total = self._workers = 0
        self._counts: Counter[Status] = Counter()
        self._bar: tqdm[Any] | None = None

    def begun(self, total: int, workers: int) -> None:
        """Open the line."""
        self._total, self._workers = total, workers
        self._began = self._told = self._clock()
        self._bar = _bar(self._step, total)
        self._show()

    def ended(self, outcome: Outcome) -> None:
        """Count it, and name it if it failed."""
        self._counts[outcome.status] += 1
        if outcome.status is Status.FAILED:
            self.say(f"failed: {describe_failure(outcome.as_record(self._project))}")
        self._show()
        if self._bar is not None:
            self._bar.update(1)

    def waited(self) -> None:
        """Without a bar, a line every half minute, so that a log shows that it goes on and how fast."""
        moment = self._clock()
        if self._bar is None and self._total and moment - self._told >= _LINE_EVERY_S:
            self._told = moment
            self.say(self._line(moment - self._began))

    def _line(self, seconds: float) -> str:
        ended, failed = self._counts.total(), self._counts[Status.FAILED]
        parts = [f"{ended} of {self._total} after {_span(seconds)}"]
        if failed:
            parts.append(f"{failed} {Status.FAILED}")
        if ended:
            parts.append(f"about {_span(seconds / ended * (self._total - ended))} left")
        return f"{self._step}: {', '.join(parts)}"

    def finished(self) -> None:
        """Leave the line as it is."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        if self._bar is not None:
            running = min(self._workers, self._total - self._counts.total())
            told = {str(status): self._counts[status] for status in (Status.DONE, Status.FAILED)}
            self._bar.set_postfix({**told, str(Status.RUNNING): running}, refresh=False)

    def say(self, text: str) -> None:
        """A line beside the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def _bar(step: str, total: int) -> tqdm[Any] | None:
    settings: dict[str, Any] = {"total": total, "desc": step, "unit": "instance", "dynamic_ncols": True}
    if in_kernel() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(**settings)
    if in_kernel() or (sys.stderr is not None and sys.stderr.isatty()):
        from tqdm.std import tqdm as terminal_bar

        return terminal_bar(**settings, file=sys.stderr)
    return None


def _span(seconds: float) -> str:
    """A time as people say it, to the second or, from an hour on, to the minute."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

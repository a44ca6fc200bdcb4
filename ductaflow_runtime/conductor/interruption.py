"""Ctrl-C, or a notebook's stop button: three lines say what is done, what was broken off, and what to do to go on.

The exception stays a `KeyboardInterrupt`, so that callers can catch it and a script ends with the usual exit code; what
is shown in place of its traceback are the lines.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.execution.context import in_kernel
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.terminal import say

_TOLD = "_ductaflow_told"


class Interruption(Observer):
    """Counts what becomes of the rows, for the case that somebody breaks it off."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._idle = self._to_run = 0
        self._counts: Counter[Status] = Counter()
        self._broken_off: Sequence[str] = ()

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Count what must run."""
        self._to_run = sum(plan.reason is not None for plan in plans)
        self._idle = len(plans) - self._to_run

    def ended(self, outcome: Outcome) -> None:
        """Count it."""
        self._counts[outcome.status] += 1

    def broken_off(self, names: Sequence[str]) -> None:
        """Remember them."""
        self._broken_off = names

    def lines(self) -> list[str]:
        """What is done, what was broken off, what to do."""
        if not self._to_run:
            return [f"{self._step}: stopped before anything ran", *_advice()]
        done, failed = self._counts[Status.DONE], self._counts[Status.FAILED]
        elsewhere = self._counts[Status.UP_TO_DATE]  # none of those that must run is, unless somebody else ran it
        extras = [f"{elsewhere} done by another process"] * bool(elsewhere)
        extras += [f"{self._idle} were up to date"] * bool(self._idle) + [f"{failed} failed"] * bool(failed)
        first = f"{self._step}: stopped; {done} of {self._to_run} rows done{''.join(f', {each}' for each in extras)}"
        broken = len(self._broken_off)
        left = self._to_run - self._counts.total() - broken
        names = f" ({some(self._broken_off)})" if broken else ""
        return [first, f"broken off: {broken}{names}; not begun: {max(left, 0)}", *_advice()]


def _advice() -> list[str]:
    script = sys.argv[0] if sys.argv else ""
    if in_kernel() or not script.endswith(".py"):
        return ["to go on, run this again: what is done is kept"]
    return [f"to go on: {shlex.join(['python', *sys.argv])}   (what is done is kept)"]


@contextlib.contextmanager
def told_interrupts(step: str) -> Iterator[Interruption]:
    """Within, an interrupt is told in a few lines in place of a traceback, also by whoever shows it later."""
    seen = Interruption(step)
    try:
        yield seen
    except KeyboardInterrupt as error:
        if not hasattr(error, _TOLD):
            lines = seen.lines()
            error.args = ("\n".join(lines),)
            told: Any = error
            setattr(told, _TOLD, True)
            told._render_traceback_ = lambda: lines  # IPython and Jupyter ask for it
            _show_lines_only()
        raise


def _show_lines_only() -> None:
    """Have such an interrupt shown without its traceback when it ends this process."""
    show = sys.excepthook
    if getattr(show, _TOLD, False):
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if hasattr(error, _TOLD):
            say(str(error))
        else:
            show(kind, error, trace)

    setattr(hook, _TOLD, True)
    sys.excepthook = hook

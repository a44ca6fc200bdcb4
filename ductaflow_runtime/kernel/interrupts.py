"""SIGINT in the process that executes a flow: it breaks off a cell, never the bookkeeping around it.

Ctrl-C and the time limit both arrive as SIGINT. Raised at a random place of the runtime it would cost the
notebook; so, outside the flow's own code, it is noted until that code goes on. Inside, Python's own
handler is in place, or the one that the flow has set, as in a kernel.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interrupts:
    """Which handler is in place, and whether an interrupt waits."""

    def __init__(self) -> None:
        self._waits = False
        self._main = 0
        self._of_flow: Any = signal.default_int_handler

    def listen(self) -> None:
        """Take SIGINT over, whatever the process that started this one does with it."""
        self._main = threading.get_ident()
        signal.signal(signal.SIGINT, self._note)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """While the flow's code runs. An interrupt that waits is raised at once."""
        if not self._main:  # a process that is not ours to interrupt, such as `papermill --engine ductaflow`
            yield
            return
        signal.signal(signal.SIGINT, self._of_flow)
        try:
            self._deliver()
            yield
        finally:
            self._of_flow = signal.signal(signal.SIGINT, self._note)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While the flow's code calls into the runtime, which must not be broken off halfway."""
        if threading.get_ident() != self._main:
            yield
            return
        handler = signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            self._deliver()

    def _note(self, _number: int, _frame: object) -> None:
        self._waits = True

    def _deliver(self) -> None:
        if self._waits:
            self._waits = False
            signal.raise_signal(signal.SIGINT)


# One for the process, as there is one handler of a signal.
INTERRUPTS = Interrupts()

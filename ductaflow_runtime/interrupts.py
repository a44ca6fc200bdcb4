"""SIGINT in the process that executes a flow: it breaks off a cell, never the bookkeeping around it.

Ctrl-C and the time limit both arrive as SIGINT. Raised at a random place of the runtime it would cost the
notebook; so it is raised in the flow's own code, or noted until that code goes on.
"""

from __future__ import annotations

import signal
import threading


class Interrupts:
    """When an interrupt may be raised, and whether one has come."""

    def __init__(self) -> None:
        self.seen = False
        self._pending = False
        self._allowed = False
        self._held = 0
        self._main = threading.get_ident()

    def listen(self) -> None:
        """Take SIGINT over, whatever the process that started this one does with it."""
        self._main = threading.get_ident()
        signal.signal(signal.SIGINT, self._arrive)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def allow(self) -> None:
        """The flow's code begins; raises `KeyboardInterrupt` if one has come already."""
        self._allowed = True
        self._raise_if_due()

    def forbid(self) -> None:
        """The flow's code has ended."""
        self._allowed = False

    def hold(self) -> None:
        """The flow's code calls into the runtime, which must not be broken off halfway."""
        if threading.get_ident() == self._main:
            self._held += 1

    def release(self) -> None:
        """The call ends; raises the `KeyboardInterrupt` that came meanwhile."""
        if threading.get_ident() == self._main:
            self._held -= 1
            self._raise_if_due()

    def _arrive(self, _number: int, _frame: object) -> None:
        self.seen = self._pending = True
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self._pending and self._allowed and not self._held:
            self._pending = False
            raise KeyboardInterrupt


INTERRUPTS = Interrupts()

"""What the parent tells a worker: one line after the other, on a pipe whose end means that the parent is gone."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable

from ductaflow_runtime.runs.lock import HEARTBEAT_S

INTERRUPT = "interrupt"


class Commands:
    """The lines that the parent sends."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._buffer = b""
        self._parent = os.getppid()

    def next_line(self) -> str | None:
        """Wait for a line; `None` when the parent is gone."""
        while b"\n" not in self._buffer:
            self.wait(HEARTBEAT_S)
            if self.ended:
                return None
        return self.take_line()

    def take_line(self) -> str | None:
        """A line that has arrived already."""
        line, separator, rest = self._buffer.partition(b"\n")
        if not separator:
            return None
        self._buffer = rest
        return line.decode()

    def wait(self, timeout: float, others: Iterable[int] = ()) -> None:
        """Wait for a line, for the end, or for another descriptor; `timeout` in seconds."""
        watched = [*others] if self.ended else [self.descriptor, *others]
        ready, _, _ = select.select(watched, [], [], max(timeout, 0.0))
        if self.descriptor in ready:
            self._read()
        elif os.getppid() != self._parent:  # a process that the parent forked keeps the pipe open
            self.ended = True

    def _read(self) -> None:
        data = os.read(self.descriptor, 1 << 16)
        self._buffer += data
        self.ended = not data

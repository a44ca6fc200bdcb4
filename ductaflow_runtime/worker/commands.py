"""What the parent tells a worker: one line after the other, on a pipe whose end means that the parent is gone."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable

from ductaflow_runtime.runs.claim import HEARTBEAT_S

INTERRUPT = "interrupt"
END = "end"  # said as well as shown by the end of the pipe, which a process that the parent forked may keep open


class Commands:
    """The lines that the parent sends.

    `parent` tells when the process that sends them has ended: one that it forked may keep the pipe open. Without, it
    is the parent of this process.
    """

    def __init__(self, descriptor: int, parent: int | None = None) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._buffer = b""
        self._parent = parent
        self._parent_id = os.getppid()

    @property
    def descriptors(self) -> list[int]:
        """What a child has no use for."""
        return [self.descriptor] if self._parent is None else [self.descriptor, self._parent]

    def next_line(self) -> str | None:
        """Wait for a line; `None` when the parent is gone."""
        while b"\n" not in self._buffer:
            self.wait(HEARTBEAT_S)
            if self.ended:
                return None
        return self.take_line()

    def take_line(self) -> str | None:
        """A line that has arrived already; `None` if there is none, or the parent wants no more."""
        line, separator, rest = self._buffer.partition(b"\n")
        if not separator:
            return None
        self._buffer = rest
        return None if line == END.encode() else line.decode()

    def wait(self, timeout: float, others: Iterable[int] = ()) -> None:
        """Wait for a line, for the end, or for another descriptor; `timeout` in seconds."""
        watched = [*others] if self.ended else [*self.descriptors, *others]
        ready, _, _ = select.select(watched, [], [], max(timeout, 0.0))
        if self.descriptor in ready:
            self._read()
        elif self._parent in ready or (self._parent is None and os.getppid() != self._parent_id):
            self.ended = True

    def _read(self) -> None:
        data = os.read(self.descriptor, 1 << 16)
        self._buffer += data
        self.ended = not data or self._buffer.split(b"\n")[-2:-1] == [END.encode()]

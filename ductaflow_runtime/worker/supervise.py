"""Waiting for a child: until it ends, its time is over, the user interrupts, or the parent is gone."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.state import HEARTBEAT_S

if TYPE_CHECKING:
    from ductaflow_runtime.execution.failure import Clock

Poll = Callable[[], int | None]

_GRACE_S = 5.0
_POLL_S = 0.02


@dataclass
class Ending:
    """How a child ended; `code` is its exit code, negative for a signal."""

    code: int = 0
    timed_out: bool = False
    interrupted: bool = False
    parent_gone: bool = False


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
            self.poll(HEARTBEAT_S, [])
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

    def _read(self) -> None:
        data = os.read(self.descriptor, 1 << 16)
        self._buffer += data
        self.ended = not data

    def poll(self, timeout: float, others: list[int]) -> set[int]:
        """Wait for a line, for the end, or for another descriptor; which of the others are ready."""
        watched = others if self.ended else [self.descriptor, *others]
        ready, _, _ = select.select(watched, [], [], max(timeout, 0.0))
        if self.descriptor in ready:
            self._read()
        elif os.getppid() != self._parent:  # a process that the parent forked keeps the pipe open
            self.ended = True
        return set(ready) & set(others)


def supervise(pid: int, poll: Poll, commands: Commands, clock: Clock, directory: Path) -> Ending:
    """Wait for the child, and see to it that it ends when it must."""
    ending = Ending()
    kill_at: float | None = None
    beat = time.monotonic() + HEARTBEAT_S
    handle = _open_handle(pid)
    try:
        while (code := poll()) is None:
            while (line := commands.take_line()) is not None:
                ending.interrupted = ending.interrupted or line == "interrupt"
            if ending.interrupted and kill_at is None:
                kill_at = time.monotonic() + _GRACE_S
                _signal_group(pid, signal.SIGINT)
            moments = [
                beat,
                *([clock.deadline] if clock.deadline and kill_at is None else []),
                *_some(kill_at),
            ]
            wait = min(moments) - time.monotonic()
            commands.poll(wait if handle is not None else min(wait, _POLL_S), _some(handle))
            moment = time.monotonic()
            if commands.ended and not ending.parent_gone:
                ending.parent_gone, kill_at = True, moment
            overdue = clock.deadline is not None and moment >= clock.deadline
            if kill_at is None and overdue:
                ending.timed_out = True
                kill_at = moment + _GRACE_S
                _signal_group(pid, signal.SIGINT)
            elif kill_at is not None and moment >= kill_at:
                _signal_group(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                kill_at = moment + _GRACE_S
            if moment >= beat:
                beat = moment + HEARTBEAT_S
                with contextlib.suppress(OSError):
                    os.utime(directory / FILE_NAME)
    finally:
        if handle is not None:
            os.close(handle)
    ending.code = code
    return ending


def _open_handle(pid: int) -> int | None:
    """A descriptor that tells when the child ends; `None` where the system has none to give."""
    with contextlib.suppress(OSError, AttributeError):
        return os.pidfd_open(pid)
    return None


def _some(value: float | int | None) -> list:  # type: ignore[type-arg]
    return [] if value is None else [value]


def poll_forked(pid: int) -> int | None:
    """The exit code of a forked child, negative for a signal; `None` while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended == pid else None


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, signal.SIGTERM)


def end_leftovers(pid: int) -> None:
    """Nothing that an execution started outlives it: its process group, then what left the group."""
    if not hasattr(os, "killpg"):
        return
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):
        for _ in range(100):  # killing a process hands its own children to us
            left = [int(text) for text in listing.read_text().split()]
            if not left:
                return
            for other in left:
                with contextlib.suppress(OSError):
                    os.kill(other, signal.SIGKILL)
                    os.waitpid(other, 0)


def ignore_interrupts() -> None:
    """Ctrl-C reaches the whole terminal; the parent decides what becomes of an instance."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Blocked too: one that reaches a child before it listens waits there until it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])

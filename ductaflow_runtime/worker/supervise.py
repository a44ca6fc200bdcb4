"""Waiting for a child: until it ends, exceeds its time or memory, the user interrupts, or the parent is gone."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path

from ductaflow_runtime.execution.assignment import Clock
from ductaflow_runtime.execution.usage import UNKNOWN, Usage, children_cpu
from ductaflow_runtime.runs.claim import HEARTBEAT_S, beat
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.worker.commands import INTERRUPT, Commands
from ductaflow_runtime.worker.meter import Meter

_GRACE_S = 5.0
_POLL_S = 0.02
_MOMENT_S = 0.001


@dataclass(frozen=True)
class Process:
    """A child: `poll` gives its exit code, negative for a signal, or `None` while it runs."""

    pid: int
    poll: Callable[[], int | None]


@dataclass(frozen=True)
class ChildEnd:
    """How a child ended; `code` is its exit code, negative for a signal. The others say what came before that.

    `stuck`: it was killed, and has not ended, because it waits for something in the system.
    `pid` was its process id, `usage` is what it and its processes have used.
    """

    code: int
    stuck: bool = False
    timed_out: bool = False
    out_of_memory: bool = False
    interrupted: bool = False
    parent_gone: bool = False
    usage: Usage = UNKNOWN
    pid: int = 0


@dataclass(frozen=True)
class Limits:
    """What a child must keep to. `patience` is how long, in seconds, one that was killed is waited for."""

    clock: Clock
    meter: Meter
    patience: float = 30.0


def supervise(child: Process, commands: Commands, limits: Limits, directory: Path, mark: Path) -> ChildEnd:
    """Wait for the child, and see to it that it ends when it must; `mark` is the file that tells it of an interrupt.

    Nothing that it has started outlives it.
    """
    spent = children_cpu()
    end = Supervision(child, commands, limits, directory, mark).wait()
    end_leftovers(child.pid)
    return replace(end, usage=Usage(children_cpu() - spent, limits.meter.peak), pid=child.pid)


class Supervision:
    """One child being waited for. To end it, it is interrupted, and a while later killed."""

    def __init__(self, child: Process, commands: Commands, limits: Limits, directory: Path, mark: Path) -> None:
        self._child = child
        self._commands = commands
        self._clock = limits.clock
        self._meter = limits.meter
        self._directory = directory
        self._mark = mark
        self._timed_out = self._out_of_memory = self._interrupted = self._parent_gone = False
        self._kill_at: float | None = None  # a moment once it has been told to end
        self._patience = limits.patience
        self._give_up_at = math.inf  # a moment once it has been killed
        self._beat_at = time.monotonic() + HEARTBEAT_S

    def wait(self) -> ChildEnd:
        """Until it has ended."""
        handle = _open_handle(self._child.pid)
        try:
            while (code := self._child.poll()) is None and time.monotonic() < self._give_up_at:
                self._heed_commands()
                self._sleep(handle)
                self._heed_parent()
                self._heed_clock()
                self._heed_memory()
                self._beat()
        finally:
            if handle is not None:
                os.close(handle)
        told = (self._timed_out, self._out_of_memory, self._interrupted, self._parent_gone)
        return ChildEnd(code, False, *told) if code is not None else ChildEnd(-signal.SIGKILL, True, *told)

    def _heed_commands(self) -> None:
        while (line := self._commands.take_line()) is not None:
            self._interrupted = self._interrupted or line == INTERRUPT
        if self._interrupted and self._kill_at is None:
            self._mark.parent.mkdir(mode=0o700, exist_ok=True)
            self._mark.touch()  # before the signal: the flow may catch that one, and must not count as done
            self._tell_to_end()

    def _sleep(self, handle: int | None) -> None:
        """Until the child ends, a command comes, or there is something to do."""
        moments = [self._beat_at, self._meter.due]
        if self._kill_at is not None:
            moments.append(min(self._kill_at, self._give_up_at))
        elif self._clock.deadline is not None:
            moments.append(self._clock.deadline)
        pause = min(moments) - time.monotonic()
        if handle is None:
            self._commands.wait(min(pause, _POLL_S))
        else:
            self._commands.wait(pause, [handle])

    def _heed_parent(self) -> None:
        if self._commands.ended and not self._parent_gone:
            self._parent_gone = True
            self._kill_at = time.monotonic()  # nobody waits for what an interrupted cell would show

    def _heed_clock(self) -> None:
        moment = time.monotonic()
        if self._kill_at is None:
            if self._clock.expired():
                self._timed_out = True
                self._tell_to_end()
        elif moment >= self._kill_at:
            signal_group(self._child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            self._kill_at = moment + _GRACE_S
            self._give_up_at = min(self._give_up_at, moment + self._patience)

    def _heed_memory(self) -> None:
        self._meter.look()
        if self._meter.exceeded:
            # At once: what a cell does about an interrupt may need more memory still, and the machine has none.
            self._out_of_memory = self._out_of_memory or self._kill_at is None
            self._kill_at = time.monotonic() + _GRACE_S
            self._meter.kill()

    def _tell_to_end(self) -> None:
        """Interrupt the cell, so that the notebook shows where it was."""
        self._kill_at = time.monotonic() + _GRACE_S
        signal_group(self._child.pid, signal.SIGINT)

    def _beat(self) -> None:
        """Touch the record: to other machines, that is the sign of life."""
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + HEARTBEAT_S
            beat(self._directory, FILE_NAME)


def _open_handle(pid: int) -> int | None:
    """A descriptor that tells when the child ends; `None` where the system has none to give."""
    with contextlib.suppress(OSError, AttributeError):
        return os.pidfd_open(pid)
    return None


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a child, and to all that it has started and that has not left its group."""
    if not hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        return
    with contextlib.suppress(OSError):
        os.killpg(pid, number)
    with contextlib.suppress(OSError):
        if os.getpgid(pid) != pid:  # it has joined another group, whose signals are not ours to send
            os.kill(pid, number)


def end_leftovers(pid: int) -> None:
    """Nothing that an execution started outlives it: its process group, then what left the group."""
    if not hasattr(os, "killpg"):
        return
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    end_children()


def end_children(besides: Container[int] = ()) -> None:
    """End this process's children, those among them that it was handed when their parent ended (Linux).

    One that does not end when it is killed is left to itself after a while.
    """
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    until = time.monotonic() + _GRACE_S
    with contextlib.suppress(OSError):
        while left := [pid for pid in map(int, listing.read_text().split()) if pid not in besides]:
            for other in left:
                with contextlib.suppress(OSError):
                    os.kill(other, signal.SIGKILL)
            ended = [other for other in left if _has_ended(other)]  # each hands its own children to us
            if not ended and time.monotonic() > until:
                return
            time.sleep(_MOMENT_S)


def _has_ended(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True

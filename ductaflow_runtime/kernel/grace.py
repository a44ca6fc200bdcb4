"""What Python waits for at the end of a program, waited for no longer than a grace.

Python itself waits without end for threads that are no daemons, and for processes of `multiprocessing`. A timer looks
now and then what this process is doing, and breaks it off if that is such a wait (not on Windows, which has no timer).
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

_LOOK_EVERY_S = 0.05
_WORTH_A_WORD_S = 1.0
_LAST_CHANCE_S = 0.5


class _OverError(BaseException):
    """The grace is over; nothing that a wait is made of may catch it."""


@dataclass
class Wait:
    """Waits in the functions whose code is `within`, for `grace` seconds; `told` is called when it takes long."""

    grace: float
    within: Container[CodeType]
    told: Callable[[], None]
    is_over: bool = False
    _since: float | None = None
    _said: bool = False

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """While something runs that may wait: it is broken off once the grace is over."""
        if not hasattr(signal, "setitimer"):
            yield
            return
        usual, hook = signal.signal(signal.SIGALRM, self._look), sys.unraisablehook
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])  # the flow may have blocked it
        signal.setitimer(signal.ITIMER_REAL, _LOOK_EVERY_S, _LOOK_EVERY_S)
        try:
            with contextlib.suppress(_OverError):
                yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if usual is None else usual)
            sys.unraisablehook = hook

    def _look(self, _number: int, frame: FrameType | None) -> None:
        moment = time.monotonic()
        if not self._is_inside(frame):
            self._since = None
            return
        self._since = moment if self._since is None else self._since
        waited = moment - self._since
        if waited >= self.grace:
            self.is_over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = lambda _told: None  # Python passes over errors at its end, with a word about each
            raise _OverError
        if waited >= _WORTH_A_WORD_S and not self._said:
            self._said = True
            self.told()

    def _is_inside(self, frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code in self.within:
                return True
            frame = frame.f_back
        return False


def threads_left() -> list[threading.Thread]:
    """The threads that Python would wait for."""
    return [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]


def end_threads(threads: list[threading.Thread]) -> None:
    """Have threads leave what they are doing at their next step in Python, and give them a moment for it.

    One that is in a long call ends with the process.
    """
    import ctypes

    for one in threads:
        if one.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(one.ident), ctypes.py_object(SystemExit))
    until = time.monotonic() + _LAST_CHANCE_S
    for one in threads:
        one.join(max(until - time.monotonic(), 0.0))


def processes_awaited() -> list[str]:
    """The names of the processes that `multiprocessing` would wait for."""
    module: Any = sys.modules.get("multiprocessing.process")
    return sorted(one.name for one in getattr(module, "_children", ()) if not one.daemon)


def left(number: int, what: str) -> str:
    """`1 thread that the flow left`, `2 processes that the flow left`."""
    plural = what if number == 1 else f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number} {plural} that the flow left"

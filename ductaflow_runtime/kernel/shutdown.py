"""What Python does when a program ends, done while output is still caught and before the record is written.

An executing process ends by `os._exit`, for it shares too much with the worker that it was forked from. So
threads are waited for, exit handlers run and open files are closed here, as at the end of a script. But a thread that
goes on without end does not hold up its instance for ever.
"""

from __future__ import annotations

import _io
import atexit
import contextlib
import gc
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ductaflow_runtime.kernel.grace import Wait, end_threads, left, processes_awaited, threads_left

_MOST_NAMES = 5


class Shutdown:
    """Made before the flow's first cell, called after its last.

    Threads and processes that it left are waited for `grace` seconds, each kind; `on_left` is told of threads that went
    on even then.
    """

    def __init__(self, grace: float, on_left: Callable[[], None]) -> None:
        self._grace = grace
        self._on_left = on_left
        self._known = weakref.WeakSet(open_files())
        atexit._clear()  # the worker's handlers are the worker's
        finalizers: Any = weakref.finalize
        for finalizer in list(finalizers._registry):
            finalizer.atexit = False
        atexit.register(logging.shutdown)
        atexit.register(finalizers._exitfunc)
        processes = sys.modules.get("multiprocessing.util")
        if processes is not None:
            atexit.register(processes._exit_function)

    def __call__(self, release: Callable[[], None]) -> None:
        """End the program; `release` lets go of the flow's variables."""
        self._wait_for_threads()
        self._run_exit_functions()
        # A thread that runs on to the very end finds its variables gone: that is nobody's error.
        threading.excepthook = lambda _arguments: None
        release()
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)
        gc.collect()
        settle_files("close", (file for file in open_files() if file not in self._known))

    def _wait_for_threads(self) -> None:
        module: Any = threading
        wait = Wait(self._grace, (module._shutdown.__code__,), _tell_of_threads)
        with wait.limited() if threads_left() else contextlib.nullcontext():
            module._shutdown()
        threads = threads_left()
        if wait.is_over and threads:
            self._on_left()
            are = "is" if len(threads) == 1 else "are"
            _say(f"{left(len(threads), 'thread')} {are} ended after {self._grace:g} s: {_names(threads)}")
            end_threads(threads)

    def _run_exit_functions(self) -> None:
        if not processes_awaited():  # no timer, then, which exit functions in C might not expect
            atexit._run_exitfuncs()
            return
        module: Any = sys.modules["multiprocessing.util"]
        with Wait(self._grace, (module._exit_function.__code__,), _tell_of_processes).limited():
            atexit._run_exitfuncs()


def _tell_of_threads() -> None:
    threads = threads_left()
    _say(f"waiting for {left(len(threads), 'thread')}: {_names(threads)}")


def _tell_of_processes() -> None:
    names = processes_awaited()
    _say(f"waiting for {left(len(names), 'process')}: {some(names)}")


def _names(threads: Sequence[threading.Thread]) -> str:
    return some([one.name for one in threads])


def some(names: Sequence[str]) -> str:
    """The first names of several."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _say(text: str) -> None:
    """A line in the log, by the descriptor: the flow may have put something else in the place of `sys.stderr`."""
    with contextlib.suppress(OSError):
        os.write(2, f"ductaflow: {text}\n".encode("utf-8", "backslashreplace"))


def open_files() -> list[Any]:
    """The file objects of this process that were made since the last `gc.freeze`."""
    # By type: asking the object would wake proxies, whose classes pretend.
    return [one for one in gc.get_objects() if issubclass(type(one), _io._IOBase)]


def settle_files(how: str, files: Iterable[Any]) -> None:
    """Have file objects write what they still hold (`how` is `"flush"` or `"close"`), outer ones first."""
    for file in sorted(files, key=_depth):
        try:
            if not file.closed:
                getattr(file, how)()
        except Exception:  # noqa: BLE001 - as at the end of Python, which passes over these too
            continue


def _depth(file: object) -> int:
    if isinstance(file, _io._TextIOBase):
        return 0
    if isinstance(file, _io._RawIOBase):
        return 3
    return 2 if isinstance(file, (_io.BufferedWriter, _io.BufferedReader, _io.BufferedRandom)) else 1

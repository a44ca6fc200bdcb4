"""What Python does when a program ends, done while output is still caught and before the record is written.

An executing process ends by `os._exit`, for it shares too much with the worker that it was forked from. So
threads are waited for, exit handlers run and open files are closed here, as at the end of a script.
"""

from __future__ import annotations

import _io
import atexit
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any


class Shutdown:
    """Made before the flow's first cell, called after its last."""

    def __init__(self) -> None:
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
        module: Any = threading
        module._shutdown()
        atexit._run_exitfuncs()
        # A thread that runs on to the very end finds its variables gone: that is nobody's error.
        threading.excepthook = lambda _arguments: None
        release()
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)
        gc.collect()
        settle_files("close", (file for file in open_files() if file not in self._known))


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

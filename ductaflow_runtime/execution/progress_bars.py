"""What tqdm keeps for its bars, over a fork: a thread, and a lock that processes share.

An instance that is killed while it holds a lock that it has from shared cells would hang all others.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


def let_go() -> None:
    """End the thread, which begins anew with the next bar, and drop the lock."""
    for bar in _kinds():
        if getattr(bar, "monitor", None) is not None:
            bar.monitor.exit()
            bar.monitor = None
        if _has_own_lock(bar):
            bar._lock = None
    lock = _lock()
    if hasattr(lock, "mp_lock"):
        del lock.mp_lock


def take_up() -> None:
    """In an instance's process: a lock of its own, for bars that shared cells have made, too."""
    for bar in _kinds():
        if "_lock" in vars(bar) and bar._lock is None:
            bar._lock = _lock()()


def _kinds() -> Iterator[Any]:
    """The class of all bars and those derived from it."""
    kinds = [getattr(sys.modules.get("tqdm.std"), "tqdm", None)]
    while kinds:
        kind = kinds.pop()
        if kind is not None:
            yield kind
            with contextlib.suppress(TypeError):
                kinds += kind.__subclasses__()


def _has_own_lock(bar: Any) -> bool:
    own = _lock()
    return own is not None and type(vars(bar).get("_lock")) is own


def _lock() -> Any:
    return getattr(sys.modules.get("tqdm.std"), "TqdmDefaultWriteLock", None)

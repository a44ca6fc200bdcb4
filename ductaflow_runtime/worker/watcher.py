"""What binds a process to the one that it works for, also while it hears nothing because it imports or computes.

Imports nothing of ours: a process watches from its beginning on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# Taken before a flow can put something else in its place: a child that came back would go on as its worker.
leave = os._exit
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def open_owner(scratch: Path) -> int | None:
    """A descriptor that tells when the process ends whose scratch folder this is; `None` where the system has none.

    If that process has ended already, this one ends, too.
    """
    try:
        return os.pidfd_open(int(scratch.name.split("-")[2]))
    except ProcessLookupError:
        shutil.rmtree(scratch, ignore_errors=True)
        leave(0)
    except (OSError, AttributeError):
        return None


@contextlib.contextmanager
def ending_with(parent: int | None, scratch: Path, unused: Iterable[int] = ()) -> Iterator[None]:
    """Have another process end this one, and remove its scratch folder, once the parent is gone.

    `parent` is a descriptor that tells of that; without one, nobody watches. `unused` are descriptors that the other
    process must not keep open. Not a thread: an import may look for threads, and after one there is no fork.
    """
    if parent is None:
        yield
        return
    watched = os.getpid()
    watcher = os.fork()
    if not watcher:
        try:
            for descriptor in unused:
                os.close(descriptor)
            die_with_parent()
            if os.getppid() == watched:
                select.select([parent], [], [])
                os.kill(watched, signal.SIGSTOP)  # it writes no more, and takes this process along when it ends
                shutil.rmtree(scratch, ignore_errors=True)
                os.kill(watched, signal.SIGKILL)
        finally:
            leave(0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.kill(watcher, signal.SIGKILL)
            os.waitpid(watcher, 0)


def die_with_parent() -> None:
    """A killed worker cannot end its child, so the system does (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, 9)


def inherit_orphans() -> None:
    """What a child started and left behind becomes this worker's own child, which can end it (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)

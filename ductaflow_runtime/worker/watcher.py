"""A process that hears nothing while it imports or computes ends all the same when the one ends that it works for."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from ductaflow_runtime.worker.child import die_with_parent, leave


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

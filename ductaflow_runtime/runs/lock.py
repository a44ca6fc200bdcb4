"""Who holds an instance: one process at a time, whatever else becomes of its folder.

A lock of the system is held on the instance's folder, and on Linux one in a file of `runs/.ductaflow/`, so that either
may be deleted meanwhile. Both go with the process, however it ends. Where the file system has no locks, a file
that only one process can create stands for them (`claim`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.claim import claim, claim_file
from ductaflow_runtime.runs.folder import make_folders

_ATTEMPTS = 5
_FILE = "instances.lock"
# The system's `struct flock`: kind, what the start counts from, start, length, process (none: the open file's own).
_FLOCK = "hhqqi4x"


@dataclass
class Lock:
    """What one process holds of one instance."""

    handles: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def release(self) -> None:
        """Let go; claims go first, while nobody else can have made one."""
        for path in self.files:
            with contextlib.suppress(OSError):
                os.unlink(path)
        for handle in self.handles:
            _held.discard(handle)
            with contextlib.suppress(OSError):
                os.close(handle)


# Global, for a lock belongs to the process, and so does what must be done when it forks.
_held: set[int] = set()


def _let_go_in_fork() -> None:
    """What a flow forks off shares its lock, and would hold it after the flow's end."""
    for handle in list(_held):
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_fork)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """Hold the instance for this process; yields whether nobody else held it."""
    lock = acquire(directory)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def is_free(directory: Path) -> bool:
    """Whether nobody holds the instance at this moment; leaves nothing behind."""
    lock = acquire(directory, make=False)
    if lock is None:
        return False
    lock.release()
    return True


def acquire(directory: Path, *, make: bool = True) -> Lock | None:
    """Hold the instance until released, or until this process ends; `None` if another process holds it.

    `make`: also leave what others see it by; without it, only look for theirs.
    """
    lock = Lock()
    try:
        taken = _take(lock, os.fspath(directory), os.O_RDONLY) and _take_again(lock, directory, make)
    except NotSupported:
        taken = _claim(lock, directory, make)
    except BaseException:
        lock.release()
        raise
    if taken:
        return lock
    lock.release()
    return None


def is_replaced(directory: Path) -> bool:
    """Whether another folder, or something else, is now where one was that this process holds, as far as is known."""
    held = [handle for handle in list(_held) if _is_folder(handle)]
    return bool(held) and not any(_is_at(handle, os.fspath(directory)) for handle in held)


def hold_again(directory: Path) -> None:
    """Hold the folder that has taken the place of one that this process holds, until it ends."""
    with contextlib.suppress(NotSupported):
        _take(Lock(), os.fspath(directory), os.O_RDONLY)


class NotSupported(Exception):  # noqa: N818 - no error: there is another way
    """The file system has no locks."""


def _take_again(lock: Lock, directory: Path, make: bool) -> bool:
    """Lock the instance's place in the one file of all instances: a file each would have to be made and deleted."""
    hidden = directory.parent.parent / HIDDEN
    if not os.path.isdir(hidden):
        return True
    name = f"{directory.parent.name}/{directory.name}".encode("utf-8", "surrogateescape")
    place = int.from_bytes(hashlib.sha256(name).digest()[:7], "big")
    return _take(lock, os.fspath(hidden / _FILE), os.O_RDWR | (os.O_CREAT if make else 0), place)


def _take(lock: Lock, path: str, flags: int, place: int | None = None) -> bool:
    """Lock a folder, or one place in a file; what is not there is nobody's."""
    if sys.platform == "win32":
        raise NotSupported
    for attempt in range(_ATTEMPTS):
        try:
            flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW * bool(flags & os.O_RDWR)
            handle = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # it may well be held
            return True
        try:
            _lock(handle, place)
        except BlockingIOError:
            os.close(handle)
            time.sleep(0.01 * attempt)  # somebody may only be looking whether it is held
            continue
        except OSError:
            os.close(handle)
            raise NotSupported from None
        if _is_at(handle, path):
            _held.add(handle)
            lock.handles.append(handle)
            return True
        os.close(handle)  # deleted by whoever held it: the lock is on what is there now
    return False


def _lock(handle: int, place: int | None) -> None:
    """Lock what is open, or one byte of it, for this handle and its copies."""
    if sys.platform == "win32":
        raise NotSupported
    import fcntl

    if place is None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif sys.platform == "linux":
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))


def _is_folder(handle: int) -> bool:
    try:
        return stat.S_ISDIR(os.fstat(handle).st_mode)
    except OSError:
        return False


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _claim(lock: Lock, directory: Path, make: bool) -> bool:
    path = claim_file(directory)
    if path is None:
        return True
    if make:
        make_folders(path.parent)
    taken = claim(path, make)
    if taken and make:
        lock.files.append(os.fspath(path))
    return taken

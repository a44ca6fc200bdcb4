"""Who holds an instance: one process at a time, whatever else becomes of its folder.

Two locks of the system are held, one on the instance's folder and one on a file in `runs/.ductaflow/locks/`, so that
either may be deleted meanwhile. Both go with the process, however it ends. Where the file system has no locks, a file
that only one process can create stands for them; its age tells whether its owner is alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ductaflow_runtime.files import read_json
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.folder import make_folders

HEARTBEAT_S = 10.0
_MISSED_BEATS = 6
_ATTEMPTS = 5


@dataclass
class Lock:
    """What one process holds of one instance."""

    handles: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def release(self) -> None:
        """Let go; the files go first, so that nobody locks one that is about to vanish and takes it for the lock."""
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

    `make`: also leave the files by which others see it; without it, only look for theirs.
    """
    lock = Lock()
    path = lock_file(directory)
    if path is not None and make:
        make_folders(path.parent)
    try:
        taken = _take(lock, os.fspath(directory), os.O_RDONLY)
        if taken and path is not None:
            taken = _take(lock, os.fspath(path), os.O_RDWR | (os.O_CREAT if make else 0))
            if taken and make:
                lock.files.append(os.fspath(path))
    except NotSupported:
        taken = path is None or _claim(lock, path.with_name(f"{path.name}.claim"), make)
    except BaseException:
        lock.release()
        raise
    if taken:
        return lock
    lock.release()
    return None


def is_replaced(directory: Path) -> bool:
    """Whether another folder, or something else, is now where one was that this process holds, as far as is known."""
    held = [handle for handle in _held if _is_folder(handle)]
    return bool(held) and not any(_is_at(handle, os.fspath(directory)) for handle in held)


def hold_again(directory: Path) -> None:
    """Hold the folder that has taken the place of one that this process holds, until it ends."""
    with contextlib.suppress(NotSupported):
        _take(Lock(), os.fspath(directory), os.O_RDONLY)


def lock_file(directory: Path) -> Path | None:
    """The file that stands for an instance's folder; `None` for a folder that is not in a folder of results."""
    hidden = directory.parent.parent / HIDDEN
    return hidden / "locks" / directory.parent.name / directory.name if os.path.isdir(hidden) else None


class NotSupported(Exception):  # noqa: N818 - no error: there is another way
    """The file system has no locks."""


def _take(lock: Lock, path: str, flags: int) -> bool:
    """Lock a folder or a file; one that is not there is nobody's."""
    if sys.platform == "win32":
        raise NotSupported
    import fcntl

    for attempt in range(_ATTEMPTS):
        try:
            flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW * bool(flags & os.O_RDWR)
            handle = os.open(path, flags, 0o666)
        except OSError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def _claim(lock: Lock, path: Path, make: bool) -> bool:
    """Hold an instance by a file that says who does."""
    if _is_claimed(path):
        return False
    if not make:
        return True
    if path.exists():
        # Of two who find a dead owner's file, one gets it out of the way.
        grave = f"{path}.{os.getpid()}.dead"
        try:
            os.rename(path, grave)
            os.unlink(grave)
        except OSError:
            return False
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError:
        return False
    with open(handle, "w", encoding="utf-8") as file:
        json.dump({"host": host_name(), "pid": os.getpid(), "born": born(os.getpid())}, file)
    lock.files.append(os.fspath(path))
    return True


def _is_claimed(path: Path) -> bool:
    try:
        owner = read_json(path)
        if owner["host"] == host_name() and owner["born"]:
            return bool(owner["born"] == born(owner["pid"]))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        pass  # about to be written, or damaged: its age tells
    return is_beating(path)


def born(pid: int) -> str | None:
    """What tells a process from an earlier one of the same number (Linux); else nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def is_beating(path: Path) -> bool:
    """Whether another machine's process shows by a file's time that it is alive."""
    try:
        age = _file_system_time(path.parent) - path.stat().st_mtime
    except OSError:
        return False
    return age < _MISSED_BEATS * HEARTBEAT_S


def beat(directory: Path, record: str) -> None:
    """Show other machines that the instance's process is alive."""
    path = lock_file(directory)
    for sign in (directory / record, *([] if path is None else [path.with_name(f"{path.name}.claim")])):
        with contextlib.suppress(OSError):
            os.utime(sign)


def _file_system_time(folder: Path) -> float:
    """The clock by which files get their times, which may be another machine's."""
    hidden = next((each / HIDDEN for each in folder.parents if os.path.isdir(each / HIDDEN)), folder)
    try:
        with tempfile.NamedTemporaryFile(dir=hidden, prefix=".clock-") as file:
            file.write(b"0")
            file.flush()
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def host_name() -> str:
    """This machine's name, as records hold it."""
    import platform

    return platform.node()

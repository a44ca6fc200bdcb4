"""What a killed conductor and its killed workers leave behind, found and cleared away by the next that starts.

A scratch folder's name says whose it is: on which machine, of which process. Each process that is started with one has
the name in its environment, and with it everything that it starts, so that what a flow has set free, in a session of
its own, is known by it (Linux). Nothing of another user's is touched, nor anything of a process that lives, or whose
workers are still settling what became of their instances.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.runs.claim import born, host_name

OWNER = "DUCTAFLOW_OWNER"
_WORKER = "worker"  # in a scratch folder, which process works with it
_NAME = re.compile(r"ductaflow-([0-9a-f]{8})-(\d+)-(\d+)-")
_PROC = Path("/proc")
_MOMENT_S = 1.0
# Global, for a process looks at them on behalf of all its calls.
_cleared_at = -math.inf


def make_scratch() -> Path:
    """A scratch folder of this process, after what others have left behind is cleared away."""
    clear_leftovers_in_passing()
    return Path(tempfile.mkdtemp(prefix=f"ductaflow-{_place()}-{os.getpid()}-{born(os.getpid()) or 0}-"))


def clear_leftovers_in_passing() -> None:
    """As often as something begins, but not again within a moment: a loop may begin a run every few milliseconds."""
    global _cleared_at
    if time.monotonic() - _cleared_at > _MOMENT_S:
        _cleared_at = time.monotonic()
        with contextlib.suppress(OSError):
            clear_leftovers()


def note_worker(scratch: Path) -> None:
    """Say that this process works with a scratch folder, whoever started it."""
    with contextlib.suppress(OSError):
        (scratch / _WORKER).write_text(f"{os.getpid()} {born(os.getpid()) or 0}", encoding="utf-8")


def clear_leftovers() -> None:
    """End the processes and remove the folders of conductors of this user, on this machine, that are no more."""
    folders = [folder for folder in _scratch_folders() if not _lives(*_owner_of(folder.name))]
    if not folders:
        return  # and so nobody was killed with his workers: looking at all processes would take a while
    at_work = {_owner_of(folder.name) for folder in folders if _has_worker(folder)}
    # Only of those with a folder here: what has its folders elsewhere may have a worker there that settles.
    ended = {_owner_of(folder.name) for folder in folders} - at_work
    for name, pid in _marked_processes():
        if _owner_of(name) in ended:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    for folder in folders:
        if _owner_of(folder.name) in ended:
            shutil.rmtree(folder, ignore_errors=True)


def end_started_with(scratch: Path) -> None:
    """End what was started with a scratch folder, after the process that should have seen to it was killed (Linux)."""
    for name, pid in _marked_processes():
        if name == scratch.name:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@functools.cache
def _place() -> str:
    """Tells processes of this machine from those whose numbers mean others: in a container, on another machine."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{host_name()} {space}".encode()).hexdigest()[:8]


def _owner_of(name: str) -> tuple[int, str]:
    """Process id, and what tells it from an earlier one of the same number; of a name made here."""
    found = _NAME.match(name)
    return (int(found[2]), found[3]) if found is not None and found[1] == _place() else (0, "")


def _lives(pid: int, since: str) -> bool:
    """Whether a process lives; one of which nothing is known does."""
    if not pid:
        return True
    if (told := born(pid)) is not None:
        return told == since and not _is_dead(pid)
    if _PROC.is_dir() and since != "0":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_dead(pid: int) -> bool:
    """Ended, though nobody has asked how."""
    with contextlib.suppress(OSError, IndexError):
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    return False


def _scratch_folders() -> Iterator[Path]:
    """Those of this user."""
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if _NAME.match(entry.name) and entry.is_dir(follow_symlinks=False) and _is_mine(Path(entry.path)):
                yield Path(entry.path)


def _is_mine(path: Path) -> bool:
    try:
        return hasattr(os, "getuid") and path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _has_worker(folder: Path) -> bool:
    try:
        pid, since = (folder / _WORKER).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False
    return _lives(int(pid), since)


def _marked_processes() -> Iterator[tuple[str, int]]:
    """Processes of this user that descend from one with a scratch folder: the folder's name, and their id."""
    mark = f"{OWNER}=".encode()
    for name in os.listdir(_PROC) if _PROC.is_dir() else ():
        if name.isdigit() and _is_mine(_PROC / name):
            with contextlib.suppress(OSError):
                given = (_PROC / name / "environ").read_bytes().split(b"\0")
                for told in (each for each in given if each.startswith(mark)):
                    yield told[len(mark) :].decode("ascii", "replace"), int(name)

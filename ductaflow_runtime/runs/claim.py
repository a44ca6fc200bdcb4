"""Where the file system has no locks: a file that only one process can create, whose age tells whether it is alive."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

from ductaflow_runtime.files import read_json
from ductaflow_runtime.project import HIDDEN

HEARTBEAT_S = 10.0
_MISSED_BEATS = 6


def claim_file(directory: Path) -> Path | None:
    """The file that stands for an instance's folder; `None` for a folder that is not in a folder of results."""
    hidden = directory.parent.parent / HIDDEN
    return hidden / "locks" / directory.parent.name / f"{directory.name}.claim" if os.path.isdir(hidden) else None


def claim(path: Path, make: bool = True) -> bool:
    """Whether nobody has claimed what `path` stands for; with `make` it is this process's from now on."""
    if _is_claimed(path):
        return False
    if not make:
        return True
    if path.exists() and not _bury(path):
        return False
    return _make(path)


def _make(path: Path) -> bool:
    """Make a file that names this process, if it is not there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError:
        return False
    with open(handle, "w", encoding="utf-8") as file:
        json.dump({"host": host_name(), "pid": os.getpid(), "born": born(os.getpid())}, file)
    return True


def _bury(path: Path) -> bool:
    """Delete a dead owner's file; of several who have found it so, one at a time, for it may be another's by now."""
    turn = path.with_name(f"{path.name}.turn")
    if not _make(turn):
        if not _is_claimed(turn):
            turn.unlink(missing_ok=True)  # whoever had the turn died with it: the next one who asks may have it
        return False
    try:
        if _is_claimed(path):
            return False
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        turn.unlink(missing_ok=True)
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
    for sign in (directory / record, claim_file(directory)):
        if sign is not None:
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

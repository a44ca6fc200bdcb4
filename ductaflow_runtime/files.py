"""Single files: written whole or not at all, told by size, time and hash, named relative to a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypedDict

# How long a file may change again without its time changing: a clock tick, or whole seconds where the
# file system keeps no fractions.
_FINE_NS = 50_000_000
_COARSE_NS = 2_000_000_000
_BLOCK = 1 << 18  # bytes
# The file system has no such promise to give.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS, errno.EBADF}
_DEVICES = ("/proc/", "/dev/", "/sys/")
# Opening a pipe that nobody writes to waits for somebody who does, unless told otherwise.
_AT_ONCE = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


class FileState(TypedDict, total=False):
    """What a record says a file held: `size` (bytes), `sha256` and `mtime_ns`, or one of the others.

    `tree`: a digest of a module's syntax tree, where nothing else of its text counts;
    `record`: a digest of what another instance's record tells; `instance`: of an instance that the execution ran
    itself, or found up to date; `names`: of the names in a folder; `missing`: there was none; `changed`: it changed
    during the execution, so that nobody knows; `again`: it did so the time before as well.
    """

    size: int
    sha256: str
    mtime_ns: int | None
    tree: str
    record: str
    instance: str
    names: str | None
    missing: bool
    changed: bool
    unseen: bool
    again: bool


# Terminal colours and cursor movements; also titles and links, which end with a bell or another escape.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True)
class Stat:
    """A file's size (bytes) and time of change (ns), as far as they identify its content."""

    size: int
    mtime_ns: int


def write_atomically(
    path: Path, text: str | Iterable[str], *, by_way_of: Path | None = None, durably: bool = False
) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part; `durably`, also after a power
    cut.

    `by_way_of` is a folder on the same disk for the file while it is being written, if not the one that it lies in.
    """
    with written_beside(path, text, by_way_of=by_way_of, durably=durably):
        pass


def sync(handle: int) -> None:
    """Have what is open outlive a power cut, where the file system can promise that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


@contextlib.contextmanager
def written_beside(
    path: Path, text: str | Iterable[str], *, by_way_of: Path | None = None, durably: bool = False
) -> Iterator[Path]:
    """A file's new content, in a file beside it that takes its place at the end, if nothing is raised."""
    name = f".{path.name[:80]}.{os.getpid()}-{threading.get_native_id()}.tmp"
    temporary = (by_way_of or path.parent) / name
    try:
        temporary.unlink(missing_ok=True)  # somebody may have put a link there
        with open(temporary, "x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)
            if durably:
                file.flush()
                sync(file.fileno())
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def relative_to_root(path: Path | str, root: Path) -> str:
    """A path as the records store it: `/` separators, project-relative if inside, else absolute."""
    text, base = os.fspath(path), os.fspath(root)
    if text == base:
        return "."
    prefix = base if base.endswith(os.sep) else base + os.sep
    if text.startswith(prefix):
        text = text[len(prefix) :]
    return text.replace(os.sep, "/")


def stat_file(path: str | os.PathLike[str]) -> Stat | None:
    """Size and time of a regular file, `None` if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stat(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def is_device(path: str) -> bool:
    """Whether what lies there is made by the system when it is asked for, and may have no end."""
    return path.startswith(_DEVICES) and not path.startswith("/dev/shm/")  # memory that programs use for files


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """A file opened for reading; `OSError` for what is none: a pipe would be waited for, a device read, for ever."""
    handle, _ = _open_regular(path)
    return open(handle, "rb")


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file; `OSError` for what is none, such as a pipe."""
    handle, size = _open_regular(path)
    try:
        # Plans read thousands of records: a file object for each would cost more than the reading.
        content = os.read(handle, size + 1)
        if len(content) == size:
            return content
        with open(handle, "rb", closefd=False) as file:  # a large one, or one that grows
            return content + file.read()
    finally:
        os.close(handle)


def _open_regular(path: str | os.PathLike[str]) -> tuple[int, int]:
    """A descriptor of a file, and its size."""
    handle = os.open(path, os.O_RDONLY | _AT_ONCE)
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode):
        return handle, found.st_size
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds; `OSError` for what is no file, `ValueError` for what is no JSON."""
    try:
        return json.loads(read_regular(path))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


class Names:
    """The names in folders, each folder read once."""

    def __init__(self) -> None:
        self._read: dict[Path, frozenset[str]] = {}

    def of(self, folder: Path) -> frozenset[str]:
        """What is in a folder; nothing if it cannot be read."""
        if folder not in self._read:
            try:
                self._read[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._read[folder] = frozenset()
        return self._read[folder]


def hash_file(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's bytes; `OSError` for what is no file."""
    with open_regular(path) as file:
        digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
        while size := file.readinto(block):  # `None`, where there is nothing at the moment, is an end as well
            digest.update(block[:size])
        return digest.hexdigest()


def is_recent(mtime_ns: int) -> bool:
    """Whether a file with this time may still change unnoticed."""
    return time.time_ns() - mtime_ns < (_FINE_NS if mtime_ns % 1_000_000_000 else _COARSE_NS)


def hash_names(path: str | os.PathLike[str]) -> str | None:
    """One digest of the names in a folder, hidden ones left out; `None` if it cannot be listed."""
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith(".") and name != "__pycache__")
    except OSError:
        return None
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def without_escapes(text: str) -> str:
    """A text as a file should hold it: without terminal escape codes."""
    return _ESCAPES.sub("", text)

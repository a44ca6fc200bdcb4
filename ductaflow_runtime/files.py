"""Single files: written whole or not at all, told by size, time and hash, named relative to a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

# How long a file may change again without its time changing: a clock tick, or whole seconds where the
# file system keeps no fractions.
_FINE_NS = 50_000_000
_COARSE_NS = 2_000_000_000


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


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part."""
    with written_beside(path, text):
        pass


@contextlib.contextmanager
def written_beside(path: Path, text: str) -> Iterator[Path]:
    """A file's new content, in a file beside it that takes its place at the end, if nothing is raised."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # somebody may have put a link there
        with open(temporary, "x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
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


def hash_file(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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

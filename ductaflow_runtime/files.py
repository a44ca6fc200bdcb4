"""What a file holds, told cheaply: size and time first, the hash only when they do not settle it.

One hash a file, however many instances read it: answers are kept in `runs/.ductaflow/hashes/`, which
can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

# How long a file may change again without its time changing: a clock tick, or whole seconds where the
# file system keeps no fractions.
_FINE_NS = 50_000_000
_COARSE_NS = 2_000_000_000
# Below this, reading a cached answer costs as much as reading the file.
_WORTH_CACHING = 64 * 1024


class FileState(TypedDict, total=False):
    """What a record says a file held: `size` (bytes), `sha256` and `mtime_ns`, or one of the others.

    `record`: a digest of what another instance's record tells; `names`: of the names in a folder; `missing`:
    there was none; `changed`: it changed during the execution, so that nobody knows.
    """

    size: int
    sha256: str
    mtime_ns: int | None
    record: str
    names: str | None
    missing: bool
    changed: bool


@dataclass(frozen=True)
class Stat:
    """A file's size (bytes) and time of change (ns), as far as they identify its content."""

    size: int
    mtime_ns: int


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
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


def hash_record(path: str | os.PathLike[str]) -> str | None:
    """One digest of what an instance's record tells others: status, config and results, not when or how long.

    `None` if the file is no record.
    """
    try:
        with open(path, "rb") as file:
            stored = json.load(file)
        told = [stored["status"], stored["results"], (stored["fingerprint"] or {}).get("config")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Contents:
    """Remembers what files hold, for one sweep in memory and between sweeps in a cache folder."""

    cache: Path | None = None
    _stats: dict[str, Stat | None] = field(default_factory=dict)
    _hashes: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str | None] = field(default_factory=dict)
    _records: dict[str, str | None] = field(default_factory=dict)

    def stat(self, path: str) -> Stat | None:
        """Size and time, asked of the file system once."""
        if path not in self._stats:
            self._stats[path] = stat_file(path)
        return self._stats[path]

    def names(self, path: str) -> str | None:
        """The digest of a folder's names, listed once."""
        if path not in self._names:
            self._names[path] = hash_names(path)
        return self._names[path]

    def record(self, path: str) -> str | None:
        """The digest of a record, read once."""
        if path not in self._records:
            self._records[path] = hash_record(path)
        return self._records[path]

    def sha256(self, path: str) -> str:
        """The hash of a file, computed once for as long as its size and time stay the same."""
        if path not in self._hashes:
            self._hashes[path] = self._cached_hash(path)
        return self._hashes[path]

    def is_same(self, path: str, stored: FileState) -> bool:
        """Whether a file still holds what `describe` once said of it."""
        if "record" in stored:
            return bool(self.record(path) == stored["record"])
        found = self.stat(path)
        if found is None or found.size != stored.get("size"):
            return False
        if found.mtime_ns == stored.get("mtime_ns"):
            return True
        try:
            return self.sha256(path) == stored.get("sha256")
        except OSError:
            return False

    def _cached_hash(self, path: str) -> str:
        before = stat_file(path)
        stored = self._entry(path)
        if before is not None and stored is not None and before.size >= _WORTH_CACHING:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                known = json.loads(stored.read_bytes())
                if (known["size"], known["mtime_ns"]) == (before.size, before.mtime_ns):
                    return str(known["sha256"])
        found = hash_file(path)
        if before is not None and stored is not None and stat_file(path) == before:
            self._store(stored, {"size": before.size, "mtime_ns": before.mtime_ns, "sha256": found})
        return found

    def _store(self, stored: Path, entry: dict[str, Any]) -> None:
        if entry["size"] < _WORTH_CACHING or is_recent(entry["mtime_ns"]):
            return
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            stored.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stored, json.dumps(entry))

    def _entry(self, path: str) -> Path | None:
        if self.cache is None:
            return None
        return self.cache / hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32]

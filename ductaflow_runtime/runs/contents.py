"""What a file holds, told cheaply: size and time first, the hash only when they do not settle it.

One hash a file, however many instances read it: answers are kept in `runs/.ductaflow/hashes/`, which
can be deleted at any time. Of another instance's record only counts what it tells others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import (
    FileState,
    Stat,
    hash_file,
    hash_names,
    is_recent,
    read_json,
    stat_file,
    write_atomically,
)
from ductaflow_runtime.runs.record import Record, read_record

# Below this, reading a cached answer costs as much as reading the file.
_WORTH_CACHING = 64 * 1024


def _hash_record(path: Path) -> str | None:
    """One digest of what an instance's record tells others: status, config and results, not when or how long.

    `None` if the file is no record.
    """
    record = _readable(path)
    return None if record is None else _digest(_told_by(record))


def hash_instance(record: Record) -> str:
    """One digest of what an instance is and has given: flow, status, config, results and outputs."""
    outputs = {name: stored.get("sha256") for name, stored in (record.outputs or {}).items()}
    return _digest([record.flow, *_told_by(record), outputs])


def _readable(path: Path) -> Record | None:
    try:
        return read_record(path.parent)
    except RecordError:
        return None


def _told_by(record: Record) -> list[Any]:
    config = record.fingerprint.config if record.fingerprint is not None else None
    # Without tables as 0.1.0 told it, so that the digests in its records hold.
    return [record.status, record.results, config, *([record.tables] if record.tables else [])]


def _digest(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Contents:
    """Remembers what files hold, for one sweep in memory and between sweeps in the project's cache folder.

    Without `keep`, nothing is added there.
    """

    cache: Path | None = None
    keep: bool = True
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
            self._records[path] = _hash_record(Path(path))
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
                known = read_json(stored)
                if (known["size"], known["mtime_ns"]) == (before.size, before.mtime_ns):
                    return str(known["sha256"])
        found = hash_file(path)
        if before is not None and stored is not None and stat_file(path) == before:
            self._store(stored, {"size": before.size, "mtime_ns": before.mtime_ns, "sha256": found})
        return found

    def _store(self, stored: Path, entry: dict[str, Any]) -> None:
        if not self.keep or entry["size"] < _WORTH_CACHING or is_recent(entry["mtime_ns"]):
            return
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            stored.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stored, json.dumps(entry))

    def _entry(self, path: str) -> Path | None:
        if self.cache is None:
            return None
        return self.cache / hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32]

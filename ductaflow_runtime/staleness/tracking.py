"""What an execution read: seen by an audit hook in the executing process, plus what it names.

Arrow, Polars and DuckDB open files natively, where no audit hook sees them; so strings in the config
and in the code that name an existing file count as inputs too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.files import FileState, Stat, hash_names, is_recent, relative_to_root, stat_file
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.staleness.imports import (
    asked_by_import,
    installed_folders,
    is_below,
    is_packaged,
    texts_of,
    texts_of_imported,
)

_LISTINGS = ("os.listdir", "os.scandir")
_WATCHED = frozenset(("open", "exec", "sqlite3.connect", *_LISTINGS))
_PASSED_OVER = frozenset((".git", "__pycache__", ".ipynb_checkpoints", ".ductaflow", "node_modules"))
_DEVICES = ("/proc/", "/dev/", "/sys/")


@dataclass
class Tracker:
    """Collects the files read and the folders listed while it is `active`.

    `late`: the process has imported modules of the project before this tracker was made.
    """

    root: str
    own: str
    runs_dir: str = ""
    active: bool = False
    late: bool = False
    files: dict[str, Stat | None] = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    _only_named: set[str] = field(default_factory=set)
    _appended: dict[str, Stat] = field(default_factory=dict)
    _verdicts: dict[tuple[str, bool], str | None] = field(default_factory=dict)
    _inside: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self._bases = tuple(base for base in (self.root, self.runs_dir) if base)
        self._installed = installed_folders(*self._bases)
        # The working directory of a flow is told without links, so both ways to write a folder must mean the same.
        self._real = {base: os.path.realpath(base) for base in (self.own, *reversed(self._bases))}
        if self.late:
            self.name_all(texts_of_imported(self.root))

    def install(self) -> None:
        """Start listening; an audit hook cannot be removed, so only in a process that ends with the flow."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or not self.active or getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            self._note(event, args)
        except Exception:  # noqa: BLE001 - an error in here would break the user's own open()
            pass
        finally:
            self._inside.busy = False

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "exec":
            self._note_source(args[0])
            return
        given = args[0] if args and args[0] is not None else "."
        path = self.place(_database(given) if event == "sqlite3.connect" else given)
        listing = event in _LISTINGS
        if path is None or asked_by_import(path, listing, sys._getframe(2)):
            return
        if listing:
            if path not in self.folders:
                self.folders[path] = hash_names(path)
            return
        flags = args[2] if event == "open" and len(args) > 2 and isinstance(args[2], int) else 0
        if flags & os.O_ACCMODE == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
            self._note_writing(path, flags)
            return
        self._note_reading(path)
        if event == "sqlite3.connect" and (log := stat_file(f"{path}-wal")) is not None and log.size:
            self._note_reading(f"{path}-wal")  # an empty one comes and goes with whoever has the database open

    def _note_source(self, code: Any) -> None:
        """A file of code that is executed, also one that is loaded by its path and leaves no module behind."""
        name = getattr(code, "co_filename", "")
        path = self.place(name) if name.endswith(".py") else None
        if path is not None and path not in self.sources:
            self.sources.add(path)
            self.name_all(texts_of(code))

    def _note_reading(self, path: str) -> None:
        self._only_named.discard(path)
        if path not in self.files and path not in self.written:
            self.files[path] = self._appended.get(path) or stat_file(path)

    def _note_writing(self, path: str, flags: int) -> None:
        """What the flow itself puts there is no input, unless it has read or reads what was there before."""
        if path in self._only_named:
            self._only_named.discard(path)
            self.files.pop(path, None)
        if path in self.files or path in self.written:
            return
        before = stat_file(path)
        if before is None or flags & os.O_TRUNC:
            self.written.add(path)
        elif not flags & os.O_EXCL:
            self._appended.setdefault(path, before)

    def told(self) -> dict[str, Any]:
        """What was seen, as JSON, for the process that this one works for."""
        files = {path: stat and [stat.size, stat.mtime_ns] for path, stat in self.files.items()}
        return {"files": files, "folders": self.folders, "written": sorted(self.written)}

    def take_over(self, told: dict[str, Any]) -> None:
        """Add what another process saw and told."""
        for path in self._only_named.intersection(told["written"]):
            self.files.pop(path, None)
        for path, stat in told["files"].items():
            self.files.setdefault(path, Stat(*stat) if stat else None)
        self.folders.update(told["folders"])

    def name(self, path: str | os.PathLike[str]) -> None:
        """Count a file as an input because the flow names it."""
        found = stat_file(path)
        place = self.place(path, anywhere=True) if found is not None else None
        if place is not None and place not in self.files and place not in self.written:
            self.files[place] = found
            self._only_named.add(place)

    def name_all(self, texts: Iterable[str]) -> None:
        """Count those texts as inputs that name an existing file, seen from the project or the instance."""
        own = self._real[self.own]
        for text in texts:
            self.name(os.path.join(self.root, text))
            if ".." in text:  # what does not leave the instance's folder is its own
                self.name(os.path.join(own, text))

    def place(self, path: object, anywhere: bool = False) -> str | None:
        """The absolute path if it may count as an input: in the project or its results, not the instance's own,
        no cache."""
        if isinstance(path, int):
            path = _path_of(path)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return None
        key = (str(os.path.abspath(os.fspath(path))), anywhere)
        if key not in self._verdicts:
            self._verdicts[key] = self._judge(*key)
        return self._verdicts[key]

    def _judge(self, path: str, anywhere: bool) -> str | None:
        if path.startswith(self._installed):
            return None
        path = self._as_known(path)
        if self._base_of(path) is None:
            real = self._as_known(os.path.realpath(path))
            if self._base_of(real) is not None:
                path = real
            elif not anywhere or (path.startswith(_DEVICES) and not path.startswith("/dev/shm/")):
                return None
        if path == self.own or is_below(path, self.own):
            return None
        inside = os.path.relpath(path, self._base_of(path) or self.root)
        if is_packaged(inside) or not _PASSED_OVER.isdisjoint(inside.split(os.sep)):
            return None
        return path

    def _as_known(self, path: str) -> str:
        """The path as it is written seen from the project, where it lies in the real place of a linked folder."""
        for known, real in self._real.items():
            if known != real and (path == real or is_below(path, real)):
                return known + path[len(real) :]
        return path

    def _base_of(self, path: str) -> str | None:
        return next((base for base in self._bases if path == base or is_below(path, base)), None)


def _path_of(descriptor: int) -> str | None:
    """What an open descriptor stands for, where the system tells (Linux)."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None


def _database(given: object) -> object:
    """The file that a SQLite address names."""
    if isinstance(given, str) and given.startswith("file:"):
        return unquote(urlsplit(given).path)
    return given


def fingerprint_inputs(tracker: Tracker, modules: Iterable[str], contents: Contents) -> dict[str, FileState]:
    """The `inputs` part: project-relative path -> what was there when the execution first looked."""
    skip = set(modules)
    inputs: dict[str, FileState] = {}
    root = Path(tracker.root)
    for path, before in sorted(tracker.files.items()):
        if path in skip:
            continue
        inputs[relative_to_root(path, root)] = describe_input(path, before, contents)
    for path, names in sorted(tracker.folders.items()):
        inputs[relative_to_root(path, root).rstrip("/") + "/"] = {"names": names}
    return inputs


def describe_input(path: str, before: Stat | None, contents: Contents) -> FileState:
    """What a file holds, compared with `before`, its state when the execution first looked.

    `{size, sha256, mtime_ns}`, of a record `{record}`; `{missing}` if there was none, `{changed}` if it
    changed meanwhile.
    """
    if before is not None and os.path.basename(path) == FILE_NAME:
        told = contents.record(path)
        if told is not None:
            return {"record": told} if stat_file(path) == before else {"changed": True}
    after = stat_file(path)
    if before is None:
        return {"changed": True} if after is not None else {"missing": True}
    if after != before:
        return {"changed": True}
    digest = contents.sha256(path)
    if stat_file(path) != before:
        return {"changed": True}
    reliable = None if is_recent(before.mtime_ns) else before.mtime_ns
    return {"size": before.size, "sha256": digest, "mtime_ns": reliable}

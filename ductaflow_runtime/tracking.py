"""What an execution read: seen by an audit hook in the executing process, plus what it names.

Arrow, Polars and DuckDB open files natively, where no audit hook sees them; so strings in the config
and in the code that name an existing file count as inputs too.
"""

from __future__ import annotations

import functools
import itertools
import operator
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.content import Contents, Stat, hash_names, is_recent, stat_file
from ductaflow_runtime.project import relative_to_root
from ductaflow_runtime.record import FILE_NAME

_LISTINGS = ("os.listdir", "os.scandir")
_WATCHED = frozenset(("open", "exec", "sqlite3.connect", *_LISTINGS))
_PASSED_OVER = frozenset((".git", "__pycache__", ".ipynb_checkpoints", ".ductaflow", "node_modules"))
_SOURCE_READERS = ("/linecache.py", "/inspect.py", "/pkgutil.py", "/importlib/metadata/__init__.py")


@dataclass
class Tracker:
    """Collects the files read and the folders listed while it is `active`."""

    root: str
    own: str
    active: bool = False
    files: dict[str, Stat | None] = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    _only_named: set[str] = field(default_factory=set)
    _appended: dict[str, Stat] = field(default_factory=dict)
    _verdicts: dict[tuple[str, bool], str | None] = field(default_factory=dict)
    _inside: threading.local = field(default_factory=threading.local)

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
            self._note_source(getattr(args[0], "co_filename", ""))
            return
        given = args[0] if args and args[0] is not None else "."
        path = self.place(_database(given) if event == "sqlite3.connect" else given)
        if path is None or _called_by_import(path):
            return
        if event in _LISTINGS:
            if path not in self.folders:
                self.folders[path] = hash_names(path)
            return
        flags = args[2] if event == "open" and len(args) > 2 and isinstance(args[2], int) else 0
        if flags & os.O_ACCMODE == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
            self._note_writing(path, flags)
            return
        self._only_named.discard(path)
        if path not in self.files and path not in self.written:
            self.files[path] = self._appended.get(path) or stat_file(path)

    def _note_source(self, name: str) -> None:
        """A file of code that is executed, also one that is loaded by its path and leaves no module behind."""
        path = self.place(name) if name.endswith(".py") else None
        if path is not None:
            self.sources.add(path)

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
        place = self.place(path, anywhere=True)
        if place is not None and place not in self.files and place not in self.written:
            found = stat_file(place)
            if found is not None:
                self.files[place] = found
                self._only_named.add(place)

    def name_all(self, texts: Iterable[str]) -> None:
        """Count those texts as inputs that name an existing file, seen from the project or the instance."""
        for text in texts:
            for base in (self.root, self.own):
                self.name(os.path.join(base, text))

    def place(self, path: object, anywhere: bool = False) -> str | None:
        """The absolute path if it may count as an input: in the project, not the instance's own, no cache."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return None
        key = (str(os.path.abspath(os.fspath(path))), anywhere)
        if key not in self._verdicts:
            self._verdicts[key] = self._judge(*key)
        return self._verdicts[key]

    def _judge(self, path: str, anywhere: bool) -> str | None:
        if path != self.root and not _is_below(path, self.root):
            real = os.path.realpath(path)
            if _is_below(real, self.root):
                path = real
            elif not anywhere:
                return None
        if path == self.own or _is_below(path, self.own) or path.startswith(("/proc/", "/dev/", "/sys/")):
            return None
        parts = os.path.relpath(path, self.root).split(os.sep)
        if not _PASSED_OVER.isdisjoint(parts) or path.endswith((".pyc", ".pyo")):
            return None
        if _is_below(path, sys.prefix) or "site-packages" in parts:
            return None
        return path


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _database(given: object) -> object:
    """The file that a SQLite address names."""
    if isinstance(given, str) and given.startswith("file:"):
        return unquote(urlsplit(given).path)
    return given


def _called_by_import(path: str) -> bool:
    """Whether the import system, or a reader of source code for a traceback, is what asks.

    Only the nearest callers count: what a module reads while it is being imported is an input.
    """
    frame = sys._getframe(3)
    if frame.f_code.co_filename.startswith("<frozen importlib"):
        return True
    for _ in range(3):
        name = frame.f_code.co_filename.replace("\\", "/")
        if name.endswith(_SOURCE_READERS) and (path.endswith(".py") or os.path.isdir(path)):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def imported_since(last: str | None) -> list[str]:
    """The modules imported after `last`, newest first; `None` asks for all of them.

    Read from the end: in a forked child, touching the thousands of older names would copy their memory.
    """
    return list(itertools.takewhile(functools.partial(operator.ne, last), reversed(sys.modules)))


def local_modules(root: str, last_import: str | None = None) -> dict[str, str]:
    """Project-local modules that this process has imported since: absolute path -> module name."""
    installed = tuple(f"{folder}{os.sep}" for folder in {sys.prefix, sys.base_prefix})
    found: dict[str, str] = {}
    for name in imported_since(last_import):
        module = sys.modules.get(name)
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or not path.endswith(".py") or path.startswith(installed):
            continue
        if name == "__main__" or _is_own(name) or f"{os.sep}site-packages{os.sep}" in path:
            continue
        if _is_below(path, root) or _is_below(os.path.realpath(path), root):
            found[os.path.abspath(path)] = name
    return found


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in ("ductaflow", "ductaflow_runtime")


def fingerprint_inputs(tracker: Tracker, modules: Iterable[str], contents: Contents) -> dict[str, dict[str, Any]]:
    """The `inputs` part: project-relative path -> what was there when the execution first looked."""
    skip = set(modules)
    inputs: dict[str, dict[str, Any]] = {}
    root = Path(tracker.root)
    for path, before in sorted(tracker.files.items()):
        if path in skip:
            continue
        inputs[relative_to_root(path, root)] = describe_input(path, before, contents)
    for path, names in sorted(tracker.folders.items()):
        inputs[relative_to_root(path, root).rstrip("/") + "/"] = {"names": names}
    return inputs


def describe_input(path: str, before: Stat | None, contents: Contents) -> dict[str, Any]:
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

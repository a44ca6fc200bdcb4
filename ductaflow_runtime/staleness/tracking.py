"""What an execution read: seen by an audit hook in the executing process, plus what it names.

Arrow, Polars and DuckDB open files natively, where no audit hook sees them; so strings in the config
and in the code that name an existing file count as inputs too.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.files import FileState, Stat, hash_names, is_recent, relative_to_root, stat_file
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.staleness.bytecode import compile_from_source, compiled_of_imported, text_state
from ductaflow_runtime.staleness.imports import asked_by_import, asked_for_source, texts_of, texts_of_imported
from ductaflow_runtime.staleness.places import Places

_LISTINGS = ("os.listdir", "os.scandir")
_PUTTING = ("os.rename", "os.link", "os.symlink")
_WATCHED = frozenset(("open", "compile", "exec", "sqlite3.connect", *_LISTINGS, *_PUTTING))


@dataclass
class Tracker:
    """Collects the files read and the folders listed while it is `active`.

    `files` maps a path to its state when the execution first looked, `folders` to a digest of the names in it.
    `written` are files that the execution made itself, `sources` files whose code it ran, `made` are names
    of what it has put into the instance's folder, each told to `on_made` at once. `instances` maps
    the records of the instances that it ran itself to digests of what they gave. `compiled` are sha256 and
    size of the bytes that were compiled, of each file of code, `texts` those bytes by their sha256; of the files in
    `shown` somebody has asked for the text. `late`: the process has imported modules of the project before this tracker
    was made.
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
    made: set[str] = field(default_factory=set)
    on_made: Callable[[str], object] = lambda _name: None
    instances: dict[str, set[str]] = field(default_factory=dict)
    compiled: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    _flows: set[str] = field(default_factory=set)  # of those instances
    _only_named: set[str] = field(default_factory=set)  # among `files`: nobody has opened them yet
    _appended: dict[str, Stat] = field(default_factory=dict)  # opened to write, with what was there before
    _inside: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self._places = Places(self.root, self.own, self.runs_dir)
        if self.late:
            self.name_all(texts_of_imported(self.root))

    def install(self) -> None:
        """Start listening; an audit hook cannot be removed, so only in a process that ends with the flow."""
        if self.late:
            for path, states in compiled_of_imported(self.root).items():
                self._note_compiled(path, *states)
        compile_from_source(self._places.holds_code)
        sys.addaudithook(self._hook)

    def work_in(self, own: str) -> None:
        """The execution turns out to be that of the instance in the folder `own`, where nothing is an input."""
        self.own = own
        self._places = Places(self.root, own, self.runs_dir)
        self.files = {path: stat for path, stat in self.files.items() if self.place(path, anywhere=True)}
        self.folders = {path: names for path, names in self.folders.items() if self.place(path)}
        self.name_all(texts_of_imported(self.root))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While the flow's own code runs."""
        self.active = True
        try:
            yield
        finally:
            self.active = False

    @contextlib.contextmanager
    def looking_away(self) -> Iterator[None]:
        """While the runtime works for the flow in this thread."""
        before = getattr(self._inside, "busy", False)
        self._inside.busy = True
        try:
            yield
        finally:
            self._inside.busy = before

    def note_instance(self, path: str, digest: str, flow: str) -> None:
        """The flow has run an instance, or found it up to date: its record tells of the flow and all it has read."""
        self.instances.setdefault(path, set()).add(digest)
        self._flows.add(flow)
        if flow in self._only_named:
            self._only_named.discard(flow)
            self.files.pop(flow, None)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or not self.active or getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            self._note(event, args, sys._getframe(1))
        except Exception:  # noqa: BLE001 - an error in here would break the user's own open()
            pass
        finally:
            self._inside.busy = False

    def _note(self, event: str, args: tuple[Any, ...], asking: FrameType) -> None:
        if event == "exec":
            self._note_code(args[0])
            return
        if event == "compile":
            # The import system and `runpy` compile the bytes that they have read; text is nobody's file.
            if isinstance(args[0], bytes) and isinstance(args[1], str) and args[1].endswith(".py"):
                self._note_compiled(args[1], text_state(args[0]))
                self.texts[text_state(args[0])[0]] = args[0]
            return
        if event in _PUTTING:
            self._note_made(args[1])
            return
        given = args[0] if args and args[0] is not None else "."
        if event == "sqlite3.connect":
            self._note_database_made(_database(given))
        elif event == "open" and len(args) > 2 and isinstance(args[2], int) and _is_writing(args[2]):
            self._note_made(given)
        path = self.place(_database(given) if event == "sqlite3.connect" else given)
        if path is None:
            return
        if event == "open" and asked_for_source(path, asking):
            self.shown.add(path)
            return
        if asked_by_import(path, event in _LISTINGS, asking):
            return
        if event in _LISTINGS:
            self._note_listing(path)
        elif event == "sqlite3.connect":
            self._note_database(path)
        else:
            self._note_opening(path, args[2] if len(args) > 2 and isinstance(args[2], int) else 0)

    def _note_made(self, given: object) -> None:
        name = self._places.inside_own(given)
        if name is not None and name not in self.made:
            self.made.add(name)
            self.on_made(name)

    def _note_database_made(self, given: object) -> None:
        """SQLite opens its files itself."""
        for ending in ("", "-journal", "-wal", "-shm"):
            if isinstance(given, (str, os.PathLike)):
                self._note_made(f"{os.fspath(given)}{ending}")

    def _note_code(self, code: Any) -> None:
        """A file of code that is executed, also one that is loaded by its path and leaves no module behind."""
        name = getattr(code, "co_filename", "")
        path = self.place(name) if name.endswith(".py") else None
        if path is not None and path not in self.sources:
            self.sources.add(path)
            self.name_all(texts_of(code))

    def _note_compiled(self, name: str, *states: tuple[str, int]) -> None:
        path = self.place(name)
        if path is not None:
            self.compiled.setdefault(path, set()).update(states)

    def texts_asked_for(self) -> set[str]:
        """The files of code whose text somebody has asked for, be it the flow or whoever showed a traceback."""
        kept = {self.place(name) for name in list(linecache.cache) if name.endswith(".py")}
        return {path for path in (*self.files, *self.shown, *kept) if path is not None}

    def _note_listing(self, path: str) -> None:
        if path not in self.folders:
            self.folders[path] = hash_names(path)

    def _note_database(self, path: str) -> None:
        self._note_reading(path)
        log = stat_file(f"{path}-wal")
        if log is not None and log.size:  # an empty one comes and goes with whoever has the database open
            self._note_reading(f"{path}-wal")

    def _note_opening(self, path: str, flags: int) -> None:
        if flags & os.O_ACCMODE == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
            self._note_writing(path, flags)
        else:
            self._note_reading(path)

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
        compiled = {path: sorted(states) for path, states in self.compiled.items()}
        return {
            "files": files,
            "folders": self.folders,
            "written": sorted(self.written),
            "compiled": compiled,
            "instances": {path: sorted(digests) for path, digests in self.instances.items()},
            "flows": sorted(self._flows),
            "made": sorted(self.made),
            "shown": sorted(self.texts_asked_for().difference(self.files)),
        }

    def take_over(self, told: dict[str, Any]) -> None:
        """Add what another process saw and told."""
        for path in self._only_named.intersection([*told["written"], *told["flows"]]):
            self.files.pop(path, None)
        for path, digests in told["instances"].items():
            self.instances.setdefault(path, set()).update(digests)
        for path, stat in told["files"].items():
            self.files.setdefault(path, Stat(*stat) if stat else None)
        self.folders.update(told["folders"])
        self.made.update(told["made"])
        self.shown.update(told["shown"])
        for path, states in told["compiled"].items():
            self.compiled.setdefault(path, set()).update(map(tuple, states))

    def name(self, path: str | os.PathLike[str]) -> None:
        """Count a file as an input because the flow names it."""
        found = stat_file(path)
        place = self.place(path, anywhere=True) if found is not None else None
        if place is not None and not any(place in known for known in (self.files, self.written, self._flows)):
            self.files[place] = found
            self._only_named.add(place)

    def name_all(self, texts: Iterable[str]) -> None:
        """Count those texts as inputs that name an existing file, seen from the project or the instance."""
        for text in texts:
            self.name(os.path.join(self.root, text))
            if ".." in text:  # what does not leave the instance's folder is its own
                self.name(os.path.join(self._places.own, text))

    def place(self, path: object, anywhere: bool = False) -> str | None:
        """The absolute path if it may count as an input."""
        return self._places.find(path, anywhere)


def _is_writing(flags: int) -> bool:
    return bool(flags & os.O_ACCMODE or flags & (os.O_CREAT | os.O_TRUNC))


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
    for path, digests in sorted(tracker.instances.items()):
        told: FileState = {"instance": next(iter(digests))} if len(digests) == 1 else {"changed": True}
        inputs[relative_to_root(path, root)] = told
    for path, names in sorted(tracker.folders.items()):
        listed: FileState = {"names": names}
        if hash_names(path) != names:
            listed["changed"] = True
        inputs[relative_to_root(path, root).rstrip("/") + "/"] = listed
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

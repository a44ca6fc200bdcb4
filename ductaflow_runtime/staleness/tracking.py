"""What an execution read: seen by an audit hook in the executing process (`audit`), plus what it names.

Arrow, Polars and DuckDB open files natively, where no audit hook sees them; so strings in the config
and in the code that name an existing file count as inputs too.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ductaflow_runtime.files import Stat, hash_names, stat_file
from ductaflow_runtime.staleness.imports import texts_of, texts_of_imported
from ductaflow_runtime.staleness.outside import UNTOLD, Outside
from ductaflow_runtime.staleness.places import Places


@dataclass(frozen=True)
class Pattern:
    """Files that the flow looks for: by which `call` (`glob.glob`, `Path.glob` or `os.walk`), in which folder, and
    which there. A pattern that nothing matches is no error, and neither is the walk through a folder that is not there.
    """

    call: str
    folder: str
    text: str = ""


@dataclass
class Tracker:
    """Collects the files read and the folders listed while it is `active`.

    `files` maps a path to its state when the execution first looked, `folders` to a digest of the names in it.
    `written` are files that the execution made itself, `sources` files whose code it ran, `made` are names
    of what it has put into the instance's folder, each told to `on_made` at once, as `on_pattern` is of each pattern
    before it is looked for. `instances` maps
    the records of the instances that it ran itself to digests of what they gave. `compiled` are sha256 and
    size of the bytes that were compiled, of each file of code, `texts` those bytes by their sha256; of the files in
    `shown` somebody has asked for the text. `late`: the process has imported modules of the project before this tracker
    was made. `thread.busy`: what this thread does is the runtime's own work. `absent` are files that the flow named and
    that were not there, `asked_for` those among them that it named in a call; those in `absent_before` count as such in
    any case, for the flow has begun without them.
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
    on_pattern: Callable[[Pattern], object] = lambda _pattern: None
    instances: dict[str, set[str]] = field(default_factory=dict)
    compiled: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    asked_for: set[str] = field(default_factory=set)
    absent_before: frozenset[str] = frozenset()
    thread: threading.local = field(default_factory=threading.local)
    _flows: set[str] = field(default_factory=set)  # of those instances
    _only_named: set[str] = field(default_factory=set)  # among `files`: nobody has opened them yet
    _appended: dict[str, Stat] = field(default_factory=dict)  # opened to write, with what was there before

    def __post_init__(self) -> None:
        self.places = Places(self.root, self.own, self.runs_dir)
        self.outside = Outside(self.root, self.own, self.runs_dir)
        if self.late:
            self.name_all(texts_of_imported(self.root))

    def work_in(self, own: str) -> None:
        """The execution turns out to be that of the instance in the folder `own`, where nothing is an input."""
        self.own = own
        self.places = Places(self.root, own, self.runs_dir)
        self.outside = Outside(self.root, own, self.runs_dir)
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
    def watching_others(self) -> Iterator[None]:
        """While the runtime works in this thread, and what the flow has left running works in others."""
        with self.watching(), self.looking_away():
            yield

    @contextlib.contextmanager
    def looking_away(self, busy: bool = True) -> Iterator[None]:
        """While the runtime works for the flow in this thread."""
        before = getattr(self.thread, "busy", False)
        self.thread.busy = busy
        try:
            yield
        finally:
            self.thread.busy = before

    def looking_back(self) -> contextlib.AbstractContextManager[None]:
        """While the flow's own code runs in a thread that is the runtime's else."""
        return self.looking_away(busy=False)

    def note_instance(self, path: str, digest: str, flow: str) -> None:
        """The flow has run an instance, or found it up to date: its record tells of the flow and all it has read."""
        self.instances.setdefault(path, set()).add(digest)
        self._flows.add(flow)
        if flow in self._only_named:
            self._only_named.discard(flow)
            self.files.pop(flow, None)

    def note_made(self, given: object) -> None:
        """What the flow puts into the instance's folder."""
        name = self.places.inside_own(given)
        if name is not None and name not in self.made:
            self.made.add(name)
            self.on_made(name)

    def note_code(self, code: Any) -> None:
        """A file of code that is executed, also one that is loaded by its path and leaves no module behind."""
        name = getattr(code, "co_filename", "")
        path = self.place(name) if name.endswith(".py") else None
        if path is not None and path not in self.sources:
            self.sources.add(path)
            self.name_all(texts_of(code))

    def note_compiled(self, name: str, *states: tuple[str, int]) -> None:
        """The text that a file of code was compiled from."""
        path = self.place(name)
        if path is not None:
            self.compiled.setdefault(path, set()).update(states)

    def texts_asked_for(self) -> set[str]:
        """The files of code whose text somebody has asked for, be it the flow or whoever showed a traceback."""
        kept = {self.place(name) for name in list(linecache.cache) if name.endswith(".py")}
        return {path for path in (*self.files, *self.shown, *kept) if path is not None}

    def note_listing(self, path: str) -> None:
        """The names in a folder, as they were when it was listed first."""
        if path not in self.folders:
            self.folders[path] = hash_names(path)

    def note_reading(self, path: str) -> None:
        """A file is an input, with the state in which it is found first."""
        self._only_named.discard(path)
        if path not in self.files and path not in self.written:
            self.files[path] = self._first_state(path)

    def _first_state(self, path: str) -> Stat | None:
        return None if path in self.absent_before else self._appended.get(path) or stat_file(path)

    def note_writing(self, path: str, flags: int) -> None:
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
            "outside": self.outside.changed(self.absent),
        }

    def places_of(self, paths: Iterable[str]) -> frozenset[str]:
        """Those that may count, as places."""
        places: set[str | None] = set()
        for path in paths:
            with contextlib.suppress(ValueError):  # a text that no path can be
                places.add(self.place(path, anywhere=True))
        return frozenset(place for place in places if place is not None)

    def go_on_without(self, absent: frozenset[str], asked_for: frozenset[str]) -> None:
        """What the flow has found absent before this process; what it asked for in a call is an input, then."""
        self.absent_before = absent
        new = asked_for.difference(self.files)
        self.files.update(dict.fromkeys(new))
        self._only_named |= new

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
        self.outside.seen.update(told.get("outside", [UNTOLD]))
        for path, states in told["compiled"].items():
            self.compiled.setdefault(path, set()).update(map(tuple, states))

    def name(self, path: str | os.PathLike[str], *, in_call: bool = False) -> None:
        """Count a file as an input because the flow names it, be it in a call."""
        found = stat_file(path)
        if found is None:
            self.absent.add(os.fspath(path))
            if in_call:
                self.asked_for.add(os.fspath(path))
            return
        place = self.place(path, anywhere=True)
        if place is not None and not any(place in known for known in (self.files, self.written, self._flows)):
            self.files[place] = None if place in self.absent_before else found
            self._only_named.add(place)

    def name_all(self, texts: Iterable[str]) -> None:
        """Count those texts as inputs that name an existing file, seen from the project or the instance."""
        for text in texts:
            self.name(os.path.join(self.root, text))
            if ".." in text:  # what does not leave the instance's folder is its own
                self.name(os.path.join(self.places.own, text))

    def place(self, path: object, anywhere: bool = False) -> str | None:
        """The absolute path if it may count as an input."""
        return self.places.find(path, anywhere)

"""What a flow is seen to change outside its instance's folder.

An earlier result of it cannot be brought back by its files alone: what it has changed elsewhere, a later execution may
have changed again. Seen is what Python itself opens, moves, deletes, starts and connects to.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.files import Stat, relative_to_root, stat_file
from ductaflow_runtime.staleness.imports import is_below
from ductaflow_runtime.staleness.places import Places

_STARTS = frozenset(
    ["subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "pty.spawn"]
)
_CHANGES = frozenset(
    ["os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"]
)
CHANGING = _STARTS | _CHANGES | {"socket.connect"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TWO = frozenset(["os.rename", "os.link"])
_MOST = 20
_STARTED = "starts another program"
UNTOLD = "may change what nobody has seen"


def _absolute(given: object) -> str | None:
    """The path that was given to `open` and the like; `None` for a descriptor, of what has been opened before."""
    if isinstance(given, bytes):
        given = os.fsdecode(given)
    return os.path.abspath(os.fspath(given)) if isinstance(given, (str, os.PathLike)) else None


def _states_of(database: str) -> list[Stat | None]:
    """Of its file, and of the log that has what is not in there yet, unless that is empty."""
    log = stat_file(f"{database}-wal")
    return [stat_file(database), log if log is not None and log.size else None]


def _children() -> tuple[object, ...]:
    """What tells whether this process has had children: what those that have ended have used, and who is there."""
    if sys.platform == "win32":
        return ()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    there = sorted(pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split())
    return used.ru_maxrss, used.ru_minflt, used.ru_majflt, *there


class Outside:
    """Tells for one instance which events are changes elsewhere; `seen` are those, in words.

    Temporary files, what the system makes, the environment's packages and hidden folders of the user's home (caches of
    libraries) are nobody's results.
    """

    def __init__(self, root: str, own: str, runs_dir: str) -> None:
        self.seen: set[str] = set()
        self._children_before = _children()
        self._databases: dict[str, list[Stat | None]] = {}
        self._root = Path(os.path.realpath(root))
        self._own = os.path.realpath(own)
        self._results = tuple(os.path.realpath(base) for base in dict.fromkeys((root, runs_dir)) if base)
        temporary, home = os.path.realpath(tempfile.gettempdir()), os.path.expanduser("~")
        packages = [os.path.realpath(base) for base in (sys.prefix, sys.base_prefix)]
        within = (base for base in packages if any(is_below(base, results) for results in self._results))
        self._packages_within = tuple(f"{base}{os.sep}" for base in within)
        self._free = ("/dev/", "/proc/", *(f"{base}{os.sep}" for base in (temporary, *packages)), f"{home}{os.sep}.")

    def note(self, event: str, args: tuple[Any, ...], places: Places) -> None:
        """An audit event may be such a change."""
        try:
            self._note(event, args, places)
        except Exception:  # noqa: BLE001 - of an odd path; it may not cost what else there is to note
            self.seen.add(UNTOLD)

    def _note(self, event: str, args: tuple[Any, ...], places: Places) -> None:
        if event in _STARTS:
            self._add(_STARTED)
        elif event == "socket.connect":
            self._add("connects to another program")
        elif event == "open":
            flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
            if flags & _WRITING:
                self._note_writing(args[0])
        elif event == "sqlite3.connect":
            self._note_database(args[0], places)
        elif event in _CHANGES:
            for given in args[1:2] if event == "os.symlink" else args[: 2 if event in _TWO else 1]:
                self._note_writing(given)

    def changed(self, named: Iterable[str], *, here: bool = True) -> list[str]:
        """What was seen, which databases hold other than when they were opened first, and which of the files `named`
        by the flow, that were not there, have been made meanwhile.

        Native code may have made them, which nobody sees. `here` says that this process executes the flow, and not a
        kernel, its child.
        """
        if here and self._has_had_children():
            self._add(_STARTED)
        changed = [path for path, before in self._databases.items() if _states_of(path) != before]
        changed += [path for path in named if stat_file(path) is not None]
        made = filter(None, map(self._told, changed))
        return sorted(self.seen.union(made))[:_MOST]

    def _has_had_children(self) -> bool:
        """Some, such as those of `multiprocessing`, are started without an audit event."""
        try:
            return _children() != self._children_before
        except OSError:  # a thread has just ended
            return True

    def _note_writing(self, given: object) -> None:
        path = _absolute(given)
        told = None if path is None else self._told(path)
        if told is not None:
            self._add(told)

    def _note_database(self, given: object, places: Places) -> None:
        """Of one that may count as an input, what it holds in the end tells whether it was written."""
        if isinstance(given, str) and given.startswith("file:"):
            if "mode=ro" in given or "mode=memory" in given:
                return
            given = unquote(urlsplit(given).path)
        if given in ("", ":memory:"):
            return
        place = places.find(given)
        if place is None:
            self._note_writing(given)
        elif place not in self._databases:
            self._databases[place] = _states_of(place)

    def _told(self, path: str) -> str | None:
        """That a file is written, in words; `None` if it lies in the instance's folder, or would be nobody's result."""
        real = os.path.realpath(path)
        if real == self._own or is_below(real, self._own) or real.startswith(self._packages_within):
            return None
        of_project = any(real == base or is_below(real, base) for base in self._results)
        free = "__pycache__" in real.split(os.sep) if of_project else f"{real}{os.sep}".startswith(self._free)
        return None if free else f"writes {relative_to_root(real, self._root)}"

    def _add(self, told: str) -> None:
        if len(self.seen) < _MOST:
            self.seen.add(told)

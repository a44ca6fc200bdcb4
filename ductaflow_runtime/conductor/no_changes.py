"""A conductor that is rehearsed changes nothing: the files that it writes go nowhere, and any other change ends it.

An audit hook cannot be removed, so only in a process that ends with the rehearsal.
"""

from __future__ import annotations

import builtins
import errno
import functools
import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ductaflow_runtime.conductor.rehearsal import Rehearsal
from ductaflow_runtime.project import Project

_CHANGES = frozenset(
    ["os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime"]
)
_STARTS = frozenset(["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"])
_LISTINGS = frozenset(["os.listdir", "os.scandir"])
_WATCHED = _CHANGES | _STARTS | _LISTINGS | {"open", "os.mkdir", "sqlite3.connect", "socket.connect"}
# They only tell about the machine or the repository; libraries start them unasked.
_HARMLESS = frozenset(["uname", "fc-list", "lscpu", "ldconfig", "gcc", "cc", "ld", "objdump", "getconf", "sysctl"])
_HARMLESS_OF_GIT = frozenset(["rev-parse", "describe", "log", "show", "status", "diff", "ls-files", "rev-list"])
_NATIVE = ("to_parquet", "to_feather", "to_orc", "to_hdf")
_HERE = frozenset(["localhost", "127.0.0.1", "::1"])


class NoChanges:
    """Watches over one rehearsal until the process ends."""

    def __init__(self, rehearsal: Rehearsal, project: Project) -> None:
        self._rehearsal = rehearsal
        self._kept = tuple(f"{folder}{os.sep}" for folder in dict.fromkeys((project.root, project.runs_dir)))
        home, temporary = os.path.expanduser("~"), os.path.realpath(tempfile.gettempdir())
        self._own = tuple(f"{folder}{os.sep}" for folder in (sys.prefix, sys.base_prefix))
        self._free = ("/dev/", "/proc/", temporary + os.sep, f"{home}{os.sep}.")  # caches of libraries
        self._inside = threading.local()
        self._made: set[str] = set()  # folders
        self._open, self._mkdir, self._stat = builtins.open, os.mkdir, os.stat

    def install(self) -> None:
        """Begin."""
        sys.dont_write_bytecode = True
        self._rehearsal.aside = self.aside
        builtins.open = io.open = self._pretend_open
        os.mkdir, os.stat = self._pretend_mkdir, self._pretend_stat
        for name in _NATIVE:
            setattr(pd.DataFrame, name, self._pretend_native(getattr(pd.DataFrame, name)))
        sys.addaudithook(self._hook)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While the runtime works for a call."""
        before, self._inside.busy = self._busy(), True
        try:
            yield
        finally:
            self._inside.busy = before

    def _busy(self) -> bool:
        return getattr(self._inside, "busy", False)

    def _pretend_open(self, file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        writes = isinstance(mode, str) and not set("wax").isdisjoint(mode)
        if self._busy() or not writes or isinstance(file, int) or self._is_free(file):
            return self._open(file, mode, *given, **named)
        self._rehearsal.note_written(_absolute(file))
        with self.aside():
            descriptor, nowhere = tempfile.mkstemp()
            os.unlink(nowhere)
        return self._open(descriptor, mode.replace("x", "w"), *given, **named)

    def _pretend_native(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """For a method of frames whose library opens the file itself, where no audit hook sees it."""

        @functools.wraps(method)
        def pretend(frame: pd.DataFrame, *given: Any, **named: Any) -> Any:
            path = next(iter(given), named.get("path", named.get("path_or_buf")))
            if not isinstance(path, (str, os.PathLike)) or self._busy() or self._is_free(path):
                return method(frame, *given, **named)
            return self._rehearsal.note_written(_absolute(path))

        return pretend

    def _pretend_mkdir(self, path: Any, *given: Any, **named: Any) -> None:
        if self._busy() or _exists(path, self._stat) or self._is_free(path):
            self._mkdir(path, *given, **named)
        elif _absolute(path) in self._made:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        else:
            self._made.add(_absolute(path))
            self._rehearsal.note_written(_absolute(path))

    def _pretend_stat(self, path: Any, *given: Any, **named: Any) -> os.stat_result:
        """Asking whether something exists is a question about it, too."""
        if not self._busy() and isinstance(path, (str, bytes, os.PathLike)):
            absolute = _absolute(path)
            if absolute in self._made:
                return self._stat(self._kept[0])
            awaited = self._rehearsal.awaits(absolute)
            if awaited is not None:
                self._rehearsal.end(f"asks for {_told(path, awaited)}")
        return self._stat(path, *given, **named)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or self._busy():
            return
        with self.aside():
            problem = self._problem(event, args)
        if problem:
            self._rehearsal.end(problem)

    def _problem(self, event: str, args: tuple[Any, ...]) -> str | None:
        if event in _STARTS:
            program = _program(args)
            return None if _is_harmless(program) else f"starts another program ({' '.join(program[:2]) or event})"
        if event == "socket.connect":
            host = args[1][0] if isinstance(args[1], tuple) else "localhost"
            return None if host in _HERE else f"connects to {host}"
        path = args[0] if args and args[0] is not None else "."
        if isinstance(path, int):
            return None
        if event == "os.mkdir":
            return None if _exists(path, self._stat) or self._is_free(path) else f"makes the folder {_shown(path)}"
        if event == "sqlite3.connect":
            harmless = path in (":memory:", "") or "mode=ro" in str(path) or self._is_free(path)
            return None if harmless else f"opens the database {_shown(path)}, in which it could write"
        if event in _CHANGES:
            free = all(self._is_free(each) for each in args[:2] if isinstance(each, (str, bytes, os.PathLike)))
            return None if free else f"changes {_shown(path)}"
        return self._problem_of_file(event, path, args)

    def _problem_of_file(self, event: str, path: Any, args: tuple[Any, ...]) -> str | None:
        flags = args[2] if event == "open" and len(args) > 2 and isinstance(args[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            return None if self._is_free(path) else f"writes {_shown(path)}"
        awaited = self._rehearsal.awaits(_absolute(path))
        return None if awaited is None else f"reads {_told(path, awaited)}"

    def _is_free(self, path: Any) -> bool:
        """Whether anybody may write there: not in the project, but for its environment, nor where data could lie."""
        absolute = _absolute(path)
        if absolute.startswith(self._own):
            return True
        return not absolute.startswith(self._kept) and absolute.startswith(self._free)


def _absolute(path: Any) -> str:
    return os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))


def _exists(path: Any, stat: Callable[[Any], object]) -> bool:
    try:
        stat(path)
    except OSError:
        return False
    return True


def _told(path: Any, awaited: str) -> str:
    by = "which it would have written before" if awaited == _absolute(path) else f"and {awaited} would run before"
    return f"{_shown(path)}, {by}"


def _shown(path: Any) -> str:
    absolute = Path(_absolute(path))
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def _program(args: tuple[Any, ...]) -> list[str]:
    """The program that is to be started, and its arguments, as far as they are told."""
    words = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else args[:1]
    if len(args) > 1 and isinstance(args[1], (str, bytes)):
        words = [args[1]]
    return [os.fsdecode(word) for word in words if isinstance(word, (str, bytes, os.PathLike))]


def _is_harmless(program: list[str]) -> bool:
    name = os.path.basename(program[0]) if program else ""
    if program[1:] == ["--version"]:
        return True
    if name == "git":
        words = program[3:] if program[1:2] == ["-C"] else program[1:]
        return next((word for word in words if not word.startswith("-")), "") in _HARMLESS_OF_GIT
    return name in _HARMLESS

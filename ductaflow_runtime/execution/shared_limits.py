"""What shared cells may not do, seen while they do it: all that an instance would do in its own folder or process."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.files import Stat, stat_file
from ductaflow_runtime.staleness.imports import installed_folders, is_packaged

_CHANGES = frozenset(
    {
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
    }
)
_STARTS = frozenset({"subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"})
_OPENS = frozenset({"open", "sqlite3.connect"})
_READS = _OPENS | {"os.listdir", "os.scandir"}
_WATCHED = _CHANGES | _STARTS | _READS | {"os.chdir", "socket.connect"}
_NO_FILE = frozenset(("/dev/null", ":memory:"))
_AT_END = "registers what is to be done at the end of an instance"
_IMPORT = "<frozen importlib._bootstrap"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class StoppedError(BaseException):
    """Raised in the cells where they would do what they may not: it shall have its effect in the instances only."""


class Limits:
    """Notes the first thing that is not allowed while it is `watching`, and keeps it from happening where it can.

    `reason` says what it was, in words that follow "executing the shared cells"; `None` if there was none. `opened` are
    the files that were opened to read, by their whole path, as they were then; `has_connected`: to another program.
    """

    def __init__(self, folder: Path) -> None:
        self.reason: str | None = None
        self.opened: dict[str, Stat] = {}
        self.has_connected = False
        self._folder = folder
        self._active = False
        # As a cell of an instance finds it; none comes here, for this process has them blocked.
        self._on_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.addaudithook(self._hook)  # it cannot be removed; afterwards it does nothing

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While a cell's own code runs."""
        told = {name: getattr(os, name) for name in ("getcwd", "getcwdb")}
        register, before = atexit.register, set(_finalizers())
        atexit.register = self._registering(register)
        for name, function in told.items():
            setattr(os, name, self._noting(function))
        self._active = True
        try:
            yield
        finally:
            self._active = False
            atexit.register = register
            if any(self._is_of_project(one.func) for key, one in _finalizers().items() if key not in before):
                self.refuse(_AT_END)
            for name, function in told.items():
                setattr(os, name, function)

    def look_around(self) -> None:
        """Note what the cells have left behind that nobody saw them do."""
        if os.listdir(self._folder):
            self.refuse("writes files")
        if signal.signal(signal.SIGINT, self._on_interrupt) is not signal.default_int_handler:
            self.refuse("handles interrupts")

    def refuse(self, reason: str) -> None:
        """Note why an instance must execute them itself."""
        self.reason = self.reason or reason

    def _registering(self, register: Callable[..., Any]) -> Callable[..., Any]:
        """What packages register is left to them: they all would be refused."""

        def noted(function: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._is_packaged(sys._getframe(1).f_code.co_filename):
                self.refuse(_AT_END)
            return register(function, *args, **kwargs)

        return noted

    def _is_of_project(self, function: Any) -> bool:
        code = getattr(function, "__code__", None)
        return code is not None and not self._is_packaged(code.co_filename)

    def _is_packaged(self, file: str) -> bool:
        return file.startswith((*installed_folders(str(self._folder)), "<frozen")) or is_packaged(file)

    def _noting(self, function: Callable[[], Any]) -> Callable[[], Any]:
        def noted() -> Any:
            if not _shows_source(sys._getframe(1)):
                self.refuse("asks for the working directory, which is another one in each instance")
            return function()

        return noted

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._active or event not in _WATCHED or self.reason is not None:
            return
        if event == "socket.connect":
            self.has_connected = True
            return
        asking = sys._getframe(1)
        reason = _reason(event, args, asking)
        if reason is not None:
            self.refuse(reason)
            raise StoppedError(reason)
        elif event in _OPENS and isinstance(args[0], (str, bytes, os.PathLike)) and not _is_import(asking):
            self._note_opened(os.fsdecode(args[0]))

    def _note_opened(self, path: str) -> None:
        path = unquote(urlsplit(path).path) if path.startswith("file:") else path
        if os.path.isabs(path) and path not in self.opened:
            found = stat_file(path)
            if found is not None:
                self.opened[path] = found


def _reason(event: str, args: tuple[Any, ...], asking: FrameType) -> str | None:
    if event == "os.chdir":
        return "changes the working directory"
    if event in _STARTS:
        return "starts a process"
    given = args[0] if args and args[0] is not None else "."
    if isinstance(given, int) or _is_import(asking):
        return None
    path = os.fsdecode(given)
    if path in _NO_FILE or path.startswith("<"):
        return None
    if event in _CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & _WRITING):
        return f"writes files ({path})"
    if not os.path.isabs(path) and not path.startswith("file:"):
        return f"reads {path} from the working directory, which is another one in each instance"
    return None


def _finalizers() -> dict[Any, Any]:
    return dict(getattr(weakref.finalize, "_registry", {}))


def _is_import(asking: FrameType) -> bool:
    return asking.f_code.co_filename.startswith(_IMPORT)


def _shows_source(asking: FrameType) -> bool:
    """Whether a traceback looks for the source of code that is no file's."""
    caller = asking.f_back
    return caller is not None and inspect.__file__ in (asking.f_code.co_filename, caller.f_code.co_filename)

"""What audit events say of files: an opening, a listing, code that is compiled or executed; told to a tracker."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from ductaflow_runtime.files import stat_file
from ductaflow_runtime.staleness.bytecode import compile_from_source, compiled_of_imported, text_state
from ductaflow_runtime.staleness.imports import asked_by_import, asked_for_source
from ductaflow_runtime.staleness.outside import CHANGING
from ductaflow_runtime.staleness.tracking import Pattern, Tracker

_LISTINGS = ("os.listdir", "os.scandir")
_PUTTING = ("os.rename", "os.link", "os.symlink")
_PATTERNS = ("glob.glob/2", "pathlib.Path.glob", "pathlib.Path.rglob", "os.walk")
_WATCHED = CHANGING | {"open", "compile", "exec", "sqlite3.connect", *_LISTINGS, *_PUTTING, *_PATTERNS}


def listen(tracker: Tracker) -> None:
    """Tell the tracker from now on; an audit hook cannot be removed, so only in a process that ends with the flow."""
    if tracker.late:
        for path, states in compiled_of_imported(tracker.root).items():
            tracker.note_compiled(path, *states)
    compile_from_source(tracker.places.holds_code)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED or not tracker.active or getattr(tracker.thread, "busy", False):
            return
        tracker.thread.busy = True
        try:
            tracker.outside.note(event, args, tracker.places)
            _note(tracker, event, args, asking=sys._getframe(1))
        except Exception:  # noqa: BLE001 - an error in here would break the user's own open()
            pass
        finally:
            tracker.thread.busy = False

    sys.addaudithook(hook)


def _note(tracker: Tracker, event: str, args: tuple[Any, ...], *, asking: FrameType) -> None:
    if event == "exec":
        tracker.note_code(args[0])
    elif event == "compile":
        # The import system and `runpy` compile the bytes that they have read; text is nobody's file.
        if isinstance(args[0], bytes) and isinstance(args[1], str) and args[1].endswith(".py"):
            tracker.note_compiled(args[1], text_state(args[0]))
            tracker.texts[text_state(args[0])[0]] = args[0]
    elif event in _PUTTING:
        tracker.note_made(args[1])
    elif event in _PATTERNS:
        tracker.on_pattern(_pattern(event, args))
    elif event not in CHANGING:
        _note_looking(tracker, event, args, asking)


def _pattern(event: str, args: tuple[Any, ...]) -> Pattern:
    if event == "os.walk":
        return Pattern(event, os.fsdecode(args[0]))
    if event == "glob.glob/2":
        return Pattern("glob.glob", os.fsdecode(args[2] or ""), os.fsdecode(args[0]))
    anywhere = "**/" if event == "pathlib.Path.rglob" else ""
    return Pattern("Path.glob", os.fspath(args[0]), f"{anywhere}{args[1]}")


def _note_looking(tracker: Tracker, event: str, args: tuple[Any, ...], asking: FrameType) -> None:
    """Into a file, a database or a folder, be it to read or to write."""
    given = args[0] if args and args[0] is not None else "."
    flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
    if event == "sqlite3.connect":
        given = _database(given)
        _note_database_made(tracker, given)
    elif event == "open" and _is_writing(flags):
        tracker.note_made(given)
    path = tracker.place(given)
    if path is None:
        return
    if event == "open" and asked_for_source(path, asking):
        tracker.shown.add(path)
    elif asked_by_import(path, event in _LISTINGS, asking):
        return
    elif event in _LISTINGS:
        tracker.note_listing(path)
    elif event == "sqlite3.connect":
        _note_database(tracker, path)
    elif flags & os.O_ACCMODE == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
        tracker.note_writing(path, flags)
    else:
        tracker.note_reading(path)


def _is_writing(flags: int) -> bool:
    return bool(flags & os.O_ACCMODE or flags & (os.O_CREAT | os.O_TRUNC))


def _database(given: object) -> object:
    """The file that a SQLite address names."""
    if isinstance(given, str) and given.startswith("file:"):
        return unquote(urlsplit(given).path)
    return given


def _note_database(tracker: Tracker, path: str) -> None:
    tracker.note_reading(path)
    log = stat_file(f"{path}-wal")
    if log is not None and log.size:  # an empty one comes and goes with whoever has the database open
        tracker.note_reading(f"{path}-wal")


def _note_database_made(tracker: Tracker, given: object) -> None:
    """SQLite opens its files itself."""
    for ending in ("", "-journal", "-wal", "-shm"):
        if isinstance(given, (str, os.PathLike)):
            tracker.note_made(f"{os.fspath(given)}{ending}")

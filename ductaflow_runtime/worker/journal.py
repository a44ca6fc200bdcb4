"""What an executing process tells as it goes: one JSON object a line, in a file that its worker and the parent know."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ductaflow_runtime.runs.artifacts import Snapshot
from ductaflow_runtime.runs.failure import Failure, failure_from_json

FILE_NAME = "journal.jsonl"
_LAST = 1 << 16  # bytes that hold a last line


class JournalWriter:
    """The executing process's side."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, entry: dict[str, Any]) -> None:
        """Add one object; from here on a sudden death cannot take it back."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


@dataclass(frozen=True)
class Told:
    """All that a process told.

    `foreign` are the files that were there before it: with them it tells that the folder is its own from now on.
    `started` is what its own record says. `closed`: there is nothing to add to the record that it has left;
    `up_to_date`: for another process had executed the instance meanwhile.
    `notebook` is as it last was, `fatal` why there is no record, `imported` what it had to import that its worker may
    import ahead, `made` the names of what it has put into the folder.
    """

    foreign: Snapshot | None = None
    started: str | None = None
    closed: bool = False
    up_to_date: bool = False
    notebook: dict[str, Any] | None = None
    fatal: Failure | None = None
    imported: list[str] = field(default_factory=list)
    made: frozenset[str] = frozenset()


def read_journal(path: Path) -> Told:
    """What was told so far."""
    foreign: Snapshot | None = None
    started: str | None = None
    notebook: Any = None
    fatal: Failure | None = None
    imported: list[str] = []
    made: set[str] = set()
    for entry in _entries(path):
        if "foreign" in entry:
            foreign = {name: tuple(stat) for name, stat in entry["foreign"].items()}
        if "fatal" in entry and fatal is None:
            fatal = failure_from_json(entry["fatal"])
        started = entry.get("started", started)
        imported += entry.get("imported", ())
        made.update(entry.get("made", ()))
        notebook = entry.get("notebook", notebook)
        if notebook is not None and entry.get("cell"):
            notebook["cells"][entry["index"]] = entry["cell"]
    return Told(foreign, started, notebook=notebook, fatal=fatal, imported=imported, made=frozenset(made))


def read_end(path: Path) -> Told | None:
    """What a process told last, if it came to its very end; the rest is not read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _LAST, 0))
            entry = json.loads(file.read().rstrip(b"\n").rpartition(b"\n")[2])
    except (OSError, ValueError):
        return None
    if not isinstance(entry, dict) or "closed" not in entry:
        return None
    return Told(closed=True, up_to_date=entry["up to date"], imported=entry["imported"])


def _entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; a last line that was not finished is left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found

"""What an executing process tells as it goes: one JSON object a line, in a file that its worker and the parent know."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ductaflow_runtime.runs.artifacts import Snapshot
from ductaflow_runtime.runs.failure import Failure, failure_from_json

FILE_NAME = "journal.jsonl"


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
    `started` is what its own record says. `up_to_date`: another process had executed the instance meanwhile.
    `notebook` is as it last was, `fatal` why there is no record, `imported` what it had to import that its worker may
    import ahead, `made` the names of what it has put into the folder.
    """

    foreign: Snapshot | None = None
    started: str | None = None
    up_to_date: bool = False
    notebook: dict[str, Any] | None = None
    fatal: Failure | None = None
    imported: list[str] = field(default_factory=list)
    made: frozenset[str] = frozenset()


def read_journal(path: Path) -> Told:
    """What was told so far."""
    foreign: Snapshot | None = None
    started: str | None = None
    up_to_date = False
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
        up_to_date = up_to_date or "up to date" in entry
        imported += entry.get("imported", ())
        made.update(entry.get("made", ()))
        notebook = entry.get("notebook", notebook)
        if notebook is not None and entry.get("cell"):
            notebook["cells"][entry["index"]] = entry["cell"]
    return Told(foreign, started, up_to_date, notebook, fatal, imported, frozenset(made))


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

"""What is written when an execution ended without a word: killed, out of memory, `os._exit`.

The worker speaks for its dead child, so that a death is a failed record, never a hang or a lost sweep.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.execution.job import Entry, Job
from ductaflow_runtime.kernel.capture import Log
from ductaflow_runtime.notebook import cell_at_end, save_notebook
from ductaflow_runtime.runs.artifacts import Snapshot
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status


def speak_for(job: Job, journal: Path, status: Status, error: Failure, last_words: dict[str, str]) -> Record:
    """Write the record that a dead child left at `running`, its notebook so far, and its last output."""
    record = unfinished(job)
    if record is None:
        raise RecordError(f"{job.instance.directory} holds no unfinished execution")
    foreign, notebook = read_journal(journal)
    log = Log(job.instance.directory / LOG_NAME)
    for name, text in last_words.items():
        log.feed(name, text)
    log.feed("stderr", f"ductaflow: {error.message}\n")
    log.close()
    if notebook is not None:
        error = replace(error, cell=cell_at_end(notebook))
        for cell in notebook["cells"]:
            if cell.get("metadata", {}).get("papermill", {}).get("status") == "running":
                cell["metadata"]["papermill"].update(status="failed", exception=True)
        save_notebook(notebook, record.notebook)
    entry = Entry(job, record, foreign)
    return entry.close(status, error=error)


def unfinished(job: Job) -> Record | None:
    """The record that still says `running`, after its process has ended."""
    with contextlib.suppress(RecordError):
        record = read_record(job.instance.directory)
        if record is not None and record.status is Status.RUNNING:
            return record
    return None


def read_journal(path: Path) -> tuple[Snapshot | None, Any]:
    """What a child left behind: the files that were not its own, if it told, and its notebook so far."""
    import nbformat

    foreign: Snapshot | None = None
    notebook: Any = None
    for entry in entries(path):
        if "foreign" in entry:
            foreign = {name: tuple(stat) for name, stat in entry["foreign"].items()}
        notebook = entry.get("notebook", notebook)
        if notebook is not None and entry.get("cell"):
            notebook["cells"][entry["index"]] = entry["cell"]
    return foreign, nbformat.from_dict(notebook) if notebook is not None else None


def entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; a last line that the child did not finish is left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found

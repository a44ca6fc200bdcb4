"""What a script reads above its CLI cell, watched from its first import of ductaflow on.

In a notebook the whole flow is watched. A script says in its CLI cell only that it leaves a record, and what it has
read by then belongs into the record as well.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.errors import DuctaflowError, FlowFileError
from ductaflow_runtime.project import HIDDEN, Project
from ductaflow_runtime.staleness.audit import listen
from ductaflow_runtime.staleness.bytecode import refuse_stale_bytecode
from ductaflow_runtime.staleness.tracking import Tracker

_ASKS = b"load_cli_"


@dataclass(frozen=True)
class _Watch:
    """`refused` tells what is wrong with the modules that had been imported before."""

    tracker: Tracker
    refused: FlowFileError | None


# Global, for it begins with an import: a process runs one script.
_watch: _Watch | None = None


def watch_script() -> None:
    """Begin to watch, if this process runs a flow as a script."""
    global _watch
    with contextlib.suppress(DuctaflowError, OSError):  # the CLI cell will say what is wrong
        if _watch is not None or is_child() or not _is_flow():
            return
        project = Project.find()
        refused = None
        try:
            refuse_stale_bytecode(str(project.root))
        except FlowFileError as error:
            refused = error
        # Its folder is not known yet. In this one nothing is ever an input.
        tracker = _tracker(project, project.runs_dir / HIDDEN)
        tracker.active = True
        _watch = _Watch(tracker, refused)


def watching() -> Tracker | None:
    """The tracker of a script that may still come to its CLI cell."""
    return _watch.tracker if _watch is not None else None


def pause_watching() -> None:
    """The script is in its CLI cell, where the runtime reads files of its own."""
    if _watch is not None:
        _watch.tracker.active = False


def check_imported(root: Path) -> None:
    """Raise `FlowFileError` if Python itself has taken a module that the script imported from an earlier text."""
    if _watch is None:
        refuse_stale_bytecode(str(root))
    elif _watch.refused is not None:
        raise _watch.refused


def tracker_in(project: Project, directory: Path) -> Tracker:
    """The tracker, not active, of a script that works in `directory` from now on, with what it has seen so far."""
    tracker = watching()
    if tracker is None or (tracker.root, tracker.runs_dir) != (str(project.root), str(project.runs_dir)):
        return _tracker(project, directory)
    tracker.work_in(str(directory))
    return tracker


def is_child() -> bool:
    """Whether `multiprocessing` imports the script again in a process of its own."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _tracker(project: Project, own: Path) -> Tracker:
    tracker = Tracker(root=str(project.root), own=str(own), runs_dir=str(project.runs_dir), late=True)
    listen(tracker)
    return tracker


def _is_flow() -> bool:
    """Whether the script that Python runs asks for its config."""
    script = getattr(sys.modules["__main__"], "__file__", None) or ""
    return script.endswith(".py") and _ASKS in Path(script).read_bytes()

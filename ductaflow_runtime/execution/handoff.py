"""How a Jupyter kernel that the runtime started is told what it executes, and how it tells what it saw.

Told in an environment variable, and once more in a request before the first cell, for a flow may never call ductaflow.
Answered after each cell, with the kernel's reply to it, for which no disk can be full; and in a file, for a kernel may
die in its first cell, and a ductaflow 0.1.0 on either side knows only that. A kernel of another language or of an
environment without ductaflow, which knows nothing of this, answers nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.secrets import know
from ductaflow_runtime.execution.elsewhere import warn_of_patterns
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.staleness.audit import listen
from ductaflow_runtime.staleness.bytecode import refuse_stale_bytecode
from ductaflow_runtime.staleness.imports import local_modules
from ductaflow_runtime.staleness.tracking import Tracker

# What a kernel that the runtime starts finds in its environment.
HANDOFF = "DUCTAFLOW_EXECUTION"
_SOURCE = "ductaflow"  # whose payload of a reply it is

LOOK = """
try:
    __import__("ductaflow_runtime.execution.context", fromlist=["context"]).current()
except Exception:
    pass
"""
"""What a Python kernel is asked to do before the first cell. It leaves no name behind."""


def tell_kernel(execution: Execution, flow: str, answer: Path, secrets: Sequence[str] = ()) -> None:
    """Leave word for the kernel that this process starts next; `secrets` are the variables of the config's secrets."""
    told = {
        "flow": flow,
        "root": str(execution.root),
        "directory": str(execution.directory),
        "runs_dir": str(execution.runs_dir),
        "handoff": str(answer),
        "secrets": [*secrets],
    }
    os.environ[HANDOFF] = json.dumps(told)


def adopt(text: str) -> Execution:
    """In that kernel: track, and answer after each cell."""
    told = json.loads(text)
    know(told.get("secrets", ()))
    refuse_stale_bytecode(told["root"])
    tracker = Tracker(root=told["root"], own=told["directory"], runs_dir=told["runs_dir"], active=True, late=True)
    listen(tracker)
    execution = Execution(
        root=Path(told["root"]),
        directory=Path(told["directory"]),
        runs_dir=Path(told["runs_dir"]),
        tracker=tracker,
        warned=count_warnings(),
    )
    if "flow" in told:  # not from a ductaflow of before, in another environment
        warn_of_patterns(execution, Path(told["flow"]))
    shell = sys.modules["IPython"].get_ipython()
    answer = Path(told["handoff"])
    shell.events.register("post_run_cell", lambda _result: _answer(execution, shell, answer))
    atexit.register(_answer, execution, shell, answer)  # threads are over then, which the last cell may have left
    _answer(execution, shell, answer)
    return execution


def _answer(execution: Execution, shell: Any, answer: Path) -> None:
    modules = local_modules(str(execution.root))
    seen = {
        "results": execution.results,
        "tables": execution.tables,
        "warnings": execution.warned.count,
        "seen": execution.tracker.told(),
        "modules": sorted({*modules, *execution.tracker.sources}),
        "names": modules,
    }
    text = json.dumps(seen)
    shell.payload_manager.write_payload({"source": _SOURCE, "answer": text})
    with contextlib.suppress(OSError):
        write_atomically(answer, text)


class Untold(Exception):  # noqa: N818 - the word in records
    """A kernel that has answered after some cells did not after the last: nobody knows what that saved and read."""


class Answers:
    """What a kernel answers, as its runtime hears it; `file` is the one that it may answer in."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: str | None = None
        self._stopped = False
        self._from_file()  # it was of an earlier execution

    def hear(self, reply: Mapping[str, Any]) -> None:
        """Take the answer that came with the reply to a cell."""
        in_file = self._from_file()  # whatever it is: the next cell's must be another
        told = [each["answer"] for each in reply.get("payload", ()) if each.get("source") == _SOURCE]
        answer = told[-1] if told else in_file
        self._stopped = answer is None and self._last is not None
        self._last = self._last if answer is None else answer

    def problem(self) -> Untold | None:
        """What is wrong with results that are not known whole."""
        if not self._stopped:
            return None
        return Untold(
            "the kernel stopped telling what the flow saves and reads: has the flow removed IPython's callbacks? "
            "If the kernel's environment has ductaflow 0.1.0, a full or emptied temporary directory does it, too: "
            "update it there"
        )

    def take(self, execution: Execution) -> dict[str, str] | None:
        """Add what the kernel saw to `execution`; gives the project's modules that it imported: absolute path -> name.

        `None` if the kernel did not look.
        """
        answer = self._from_file() or self._last  # of a kernel that died in its first cell, none has been heard
        if answer is None:
            return None
        seen = json.loads(answer)
        execution.results.update(seen["results"])
        execution.tables.update(seen.get("tables", {}))
        execution.warned.count += seen["warnings"]
        execution.tracker.take_over(seen["seen"])
        names = seen.get("names", {})  # not told by the ductaflow 0.1.0 of another environment
        return {path: names.get(path, "") for path in seen["modules"]}

    def _from_file(self) -> str | None:
        try:
            text = self._file.read_text(encoding="utf-8")
            self._file.unlink()
        except (OSError, ValueError):
            return None
        return text

"""Execution on a real Jupyter kernel through papermill: another language, or another environment."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.execution import HANDOFF, Execution
from ductaflow_runtime.flow import language_of
from ductaflow_runtime.ledger import Job

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.streams import Log


class LogStream:
    """What papermill writes a stream's text to."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name

    def write(self, text: str) -> None:
        """Add text to the log."""
        self._log.feed(self._name, text)

    def flush(self) -> None:
        """The log is not buffered."""


def run_on_kernel(
    job: Job, notebook: NotebookNode, kernel_name: str, running: Execution, log: Log
) -> tuple[NotebookNode, Exception | None]:
    """Execute on the named kernel; gives the notebook and papermill's error, if any."""
    import papermill.execute
    from papermill.engines import NBClientEngine, papermill_engines

    kept: list[NotebookNode] = []

    class KeepingEngine(NBClientEngine):  # type: ignore[misc]
        """Papermill's own engine; keeps hold of the notebook for the case of an error."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
            kept.append(nb_man.nb)
            super().execute_managed_notebook(nb_man, kernel_name, **options)

    handle, handoff = tempfile.mkstemp(prefix="ductaflow-", suffix=".json")
    os.close(handle)
    running.handoff = Path(handoff)
    told = {
        "root": job.root,
        "directory": str(running.directory),
        "runs_dir": job.runs_dir,
        "handoff": handoff,
    }
    os.environ[HANDOFF] = json.dumps(told)
    papermill_engines.register("ductaflow-kernel", KeepingEngine)
    _interrupt_kernel_too()
    target = str(running.directory / f"{Path(job.flow).stem}.ipynb")
    error: Exception | None = None
    try:
        papermill.execute.execute_notebook(
            notebook,
            target.replace("{", "{{").replace("}", "}}"),  # papermill formats the path
            parameters={"config": job.config},
            engine_name="ductaflow-kernel",
            kernel_name=kernel_name,
            language=language_of(notebook),
            progress_bar=False,
            stdout_file=LogStream(log, "stdout"),
            stderr_file=LogStream(log, "stderr"),
        )
    except Exception as failed:
        error = failed
        if not kept:
            raise
    return kept[0], error


def _interrupt_kernel_too() -> None:
    """A kernel has a process group of its own, so an interrupt is passed on; then its cell shows where."""
    import psutil

    def pass_on(number: int, _frame: object) -> None:
        for child in psutil.Process().children():
            child.send_signal(number)

    signal.signal(signal.SIGINT, pass_on)

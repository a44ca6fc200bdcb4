"""One instance, executed in this process from its clean folder to its record: the child's side.

The process is made for it and ends with it, so its working directory, import path and streams are the
instance's own.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime import execution
from ductaflow_runtime.config import texts_in
from ductaflow_runtime.content import Contents
from ductaflow_runtime.engine import Watch, save_notebook
from ductaflow_runtime.errors import DuctaflowError, InstanceBusyError
from ductaflow_runtime.fingerprint import fingerprint
from ductaflow_runtime.flow import analyse_notebook, read_bytes, read_notebook
from ductaflow_runtime.instance import HIDDEN, LOG_NAME, locked
from ductaflow_runtime.ledger import Entry, Job, open_entry
from ductaflow_runtime.project import relative_to_root, set_import_path
from ductaflow_runtime.record import Status
from ductaflow_runtime.streams import Log, close_stdin, plain
from ductaflow_runtime.tracking import Tracker
from ductaflow_runtime.warned import count_warnings

if TYPE_CHECKING:
    from nbformat import NotebookNode

Journal = Callable[[dict[str, Any]], None]
Pipes = dict[str, tuple[int, int]] | None
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Clock:
    """The time limit of one execution."""

    limit: float | None
    started: float

    @staticmethod
    def start(limit: float | None) -> Clock:
        """A clock that starts now."""
        return Clock(limit, time.monotonic())

    @property
    def deadline(self) -> float | None:
        """The moment at which the time is over."""
        return None if self.limit is None else self.started + self.limit

    def expired(self) -> bool:
        """Whether the limit is over."""
        return self.limit is not None and time.monotonic() - self.started >= self.limit

    def error(self, cell: int | None = None) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "type": "Timeout",
            "message": f"timed out after {self.limit:g} s",
            "cell": cell,
            "traceback": None,
        }


def execute(job: Job, journal: Journal, started: float, pipes: Pipes = None) -> None:
    """Execute the instance and write its record; raises only if there is no folder to write it in.

    `started` is the worker's `time.monotonic()` from which the time limit counts.
    """
    directory = job.instance.directory
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(
                f"{job.step}/{job.name} is being executed by another process at this moment"
            )
        entry = open_entry(job)
        journal({"foreign": entry.foreign})
        clock = Clock(job.timeout, started)
        try:
            _execute_flow(job, entry, clock, journal, pipes)
        except KeyboardInterrupt:
            _close_interrupted(entry, clock)
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs in the record
            entry.close(Status.FAILED, error=describe(error))


def _close_interrupted(entry: Entry, clock: Clock) -> None:
    if clock.expired():
        entry.close(Status.FAILED, error=clock.error())
    else:
        entry.close(Status.INTERRUPTED, error=interruption())


def interruption(cell: int | None = None) -> dict[str, Any]:
    """What the record of an interrupted execution says."""
    return {"type": "Interrupted", "message": "interrupted before it ended", "cell": cell, "traceback": None}


def describe(error: BaseException, cell: int | None = None) -> dict[str, Any]:
    """An exception as records hold it."""
    lines = traceback.format_exception(error)
    return {
        "type": type(error).__name__,
        "message": str(error),
        "cell": cell,
        "traceback": None if isinstance(error, DuctaflowError) else "".join(lines),
    }


def _execute_flow(job: Job, entry: Entry, clock: Clock, journal: Journal, pipes: Pipes) -> None:
    flow = Path(job.flow)
    notebook = read_notebook(flow, read_bytes(flow))
    code = analyse_notebook(flow, notebook)
    numbers = number_cells(notebook)
    tracker = Tracker(root=job.root, own=str(job.instance.directory))
    running = _enter(job, tracker)
    known = set(sys.modules)
    tracker.name_all([*code.literals, *texts_in(job.config)])
    log = Log(job.instance.directory / LOG_NAME)
    warned = count_warnings()
    watch = Watch(log=log, pipes=pipes, tracker=tracker, journal=journal, expired=clock.expired)
    kernel_name = job.kernel_name or code.kernel
    prepare_notebook(notebook, entry.record.command or "", own_kernel=kernel_name is None)
    try:
        if kernel_name is None:
            atexit._clear()
            executed, error = run_cells(job, notebook, watch)
            atexit._run_exitfuncs()
        else:
            from ductaflow_runtime.kernel import run_on_kernel

            executed, error = run_on_kernel(job, notebook, kernel_name, running, log)
    finally:
        log.close()
    error = real_error(executed, error)
    journal({"imported": sorted(set(sys.modules) - known)})
    save_notebook(executed, entry.record.notebook)
    status, cause = judge(error, executed, numbers, clock)
    if job.export_html:
        from ductaflow_runtime.html import export_page

        export_page(executed, entry.record.html, show_code=job.show_code)
    entry.close(
        status,
        error=cause,
        warnings=warned.count,
        results=running.results,
        fingerprint=fingerprint(
            job, code, running, contents_of(job), entry.record.started or "", kernel_name is None
        ),
    )


def contents_of(job: Job) -> Contents:
    """What files hold, shared with the other executions of a sweep."""
    return Contents(Path(job.runs_dir) / HIDDEN / "hashes")


def _enter(job: Job, tracker: Tracker) -> execution.Execution:
    """Make this process the instance's: directory, import path, and what the flow's calls refer to."""
    directory = job.instance.directory
    os.chdir(directory)
    set_import_path(Path(job.flow).parent, Path(job.root))
    sys.argv = [job.flow]
    close_stdin()
    running = execution.Execution(Path(job.root), directory, Path(job.runs_dir), tracker)
    execution.begin(running)
    tracker.install()
    return running


def run_cells(job: Job, notebook: NotebookNode, watch: Watch) -> tuple[NotebookNode, Exception | None]:
    """Execute through papermill in this process; gives the notebook and papermill's error, if any."""
    import papermill.execute
    kept: list[NotebookNode] = []

    def keep(first: dict[str, Any]) -> None:
        if "notebook" in first:
            kept.append(first["notebook"])
        if journal is not None:
            journal(first)

    journal, watch.journal = watch.journal, keep
    error: Exception | None = None
    try:
        papermill.execute.execute_notebook(
            notebook,
            None,
            parameters={"config": job.config},
            engine_name="ductaflow",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            autosave_cell_every=0,
            watch=watch,
        )
    except papermill.PapermillExecutionError as failed:
        error = failed
    executed = kept[0]
    executed.metadata["papermill"]["input_path"] = relative_to_root(job.flow, Path(job.root))
    executed.metadata["papermill"]["output_path"] = f"{Path(job.flow).stem}.ipynb"
    return executed, error


def prepare_notebook(notebook: NotebookNode, command: str, own_kernel: bool) -> None:
    """The kernel it opens with, and, at its top, the line that reproduces it."""
    import nbformat

    if own_kernel:
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        }
    text = f"Executed by ductaflow. To reproduce it, in the project's folder:\n\n```bash\n{command}\n```"
    cell = nbformat.v4.new_markdown_cell(text, id="ductaflow", metadata={"tags": ["ductaflow"]})
    notebook.cells.insert(0, cell)


def number_cells(notebook: NotebookNode) -> dict[str, int]:
    """Cell id -> its number among the flow's own code cells, from 1."""
    codes = [cell["id"] for cell in notebook.cells if cell.cell_type == "code"]
    return {cell_id: number for number, cell_id in enumerate(codes, 1)}


def judge(
    error: Exception | None, executed: NotebookNode, numbers: dict[str, int], clock: Clock
) -> tuple[Status, dict[str, Any] | None]:
    """What the record says of the cells' execution."""
    cell = failed_cell(executed, numbers)
    if clock.expired() and (error is None or getattr(error, "ename", "") == "KeyboardInterrupt"):
        return Status.FAILED, clock.error(cell)
    if error is None:
        return Status.DONE, None
    ename = getattr(error, "ename", type(error).__name__)
    if ename == "KeyboardInterrupt":
        return Status.INTERRUPTED, interruption(cell)
    shown = "\n".join(getattr(error, "traceback", []))
    return Status.FAILED, {
        "type": ename,
        "message": plain_text(getattr(error, "evalue", str(error))),
        "cell": cell,
        "traceback": _ANSI.sub("", shown),
    }


def plain_text(text: str) -> str:
    """Text without colours, line by line."""
    return "\n".join(plain(line) for line in text.split("\n"))


def real_error(executed: NotebookNode, error: Exception | None) -> Exception | None:
    """Papermill's error, unless it comes from a cell that is meant to raise, or from `sys.exit(0)`.

    Papermill takes every error among the outputs for a failure; its engine marks the cell that ended the flow.
    """
    from papermill.exceptions import PapermillExecutionError

    if not isinstance(error, PapermillExecutionError):
        return error
    for cell in executed.cells:
        if cell.metadata.get("papermill", {}).get("exception") is True:
            found = [output for output in cell.get("outputs", []) if output.output_type == "error"]
            if not found or found[-1].ename != "SystemExit" or found[-1].evalue not in ("", "0"):
                return error
    executed.cells = [
        cell for cell in executed.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return None


def failed_cell(executed: NotebookNode, numbers: dict[str, int]) -> int | None:
    """The number of the cell that papermill marked as failed."""
    for cell in executed.cells:
        if cell.metadata.get("papermill", {}).get("exception") is True:
            return numbers.get(cell["id"])
    return None


def interrupt_by_signal() -> None:
    """Let SIGINT raise `KeyboardInterrupt`, whatever the process that started this one does with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""One instance, executed in this process from its clean folder to its record: the child's side.

The process is made for it and ends with it, so its working directory, import path and streams are the
instance's own.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ductaflow_runtime.config import texts_in
from ductaflow_runtime.errors import InstanceBusyError
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.execution.failure import Clock, advise, judge, real_error
from ductaflow_runtime.execution.job import Entry, Job, open_entry
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.flow import FlowCode, analyse_notebook
from ductaflow_runtime.kernel.capture import Log, close_stdin
from ductaflow_runtime.kernel.outputs import Watch
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.kernel.shutdown import Leaving
from ductaflow_runtime.notebook import number_cells, read_bytes, read_notebook, save_notebook
from ductaflow_runtime.project import set_import_path
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.failure import interrupted, of_exception
from ductaflow_runtime.runs.instance import HIDDEN, LOG_NAME
from ductaflow_runtime.runs.state import locked
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.fingerprint import fingerprint
from ductaflow_runtime.staleness.imports import imported_since, local_modules
from ductaflow_runtime.staleness.tracking import Tracker

if TYPE_CHECKING:
    from nbformat import NotebookNode

Journal = Callable[[dict[str, Any]], None]
Pipes = dict[str, tuple[int, int]]


def execute(job: Job, journal: Journal, started: float, pipes: Pipes, scratch: Path) -> None:
    """Execute the instance and write its record; raises only if there is no folder to write it in.

    `started` is the worker's `time.monotonic()` from which the time limit counts, `scratch` a folder for
    files that nobody keeps.
    """
    directory = job.instance.directory
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(f"{job.step}/{job.name} is being executed by another process at this moment")
        entry = open_entry(job)
        journal({"foreign": entry.foreign})
        clock = Clock(job.timeout, started)
        try:
            _execute_flow(job, entry, clock, journal, pipes, scratch)
        except KeyboardInterrupt:
            _close_interrupted(entry, clock)
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs in the record
            entry.close(Status.FAILED, error=of_exception(error))


def _close_interrupted(entry: Entry, clock: Clock) -> None:
    if clock.expired():
        entry.close(Status.FAILED, error=clock.failure())
    else:
        entry.close(Status.INTERRUPTED, error=interrupted())


def _execute_flow(job: Job, entry: Entry, clock: Clock, journal: Journal, pipes: Pipes, scratch: Path) -> None:
    flow = Path(job.flow)
    notebook, code = study(flow, read_bytes(flow))
    numbers = number_cells(notebook)
    tracker = Tracker(root=job.root, own=str(job.instance.directory), runs_dir=job.runs_dir)
    running = _enter(job, tracker)
    tracker.name_all([*code.literals, *texts_in(job.config)])
    log = Log(job.instance.directory / LOG_NAME)
    watch = Watch(log=log, pipes=pipes, tracker=tracker, journal=journal, expired=clock.expired)
    kernel_name = job.kernel_name or code.kernel
    if kernel_name is None:
        build_kernel()  # before warnings are counted: it has one of its own
    running.warned = count_warnings()
    prepare_notebook(notebook, entry.record.command or "", own_kernel=kernel_name is None)
    try:
        if kernel_name is None:
            watch.at_end = Leaving()
            error = run_cells(job, notebook, watch)
        else:
            from ductaflow_runtime.execution.jupyter import run_on_kernel

            running.handoff = scratch / "kernel.json"
            notebook, error = run_on_kernel(job, notebook, kernel_name, running, log)
    finally:
        if clock.expired():
            log.feed("stderr", f"ductaflow: {clock.failure().message}\n")
        log.close()
    error = real_error(notebook, error)
    journal({"imported": sorted(imported_since(running.last_import))})
    save_notebook(notebook, entry.record.notebook)
    status, cause = judge(error, notebook, numbers, clock)
    cause = cause and advise(cause, Path(job.root))
    if job.export_html:
        from ductaflow_runtime.html_export.export import export_page

        export_page(notebook, entry.record.html, show_code=job.show_code)
    here = kernel_name is None
    seen = fingerprint(
        code,
        tracker,
        contents_of(job),
        flow=job.flow,
        config=job.config,
        started=entry.record.started or "",
        modules=local_modules(job.root, running.last_import) if here else dict.fromkeys(running.take_over(), ""),
        with_packages=here,
    )
    entry.close(status, error=cause, warnings=running.warned.count, results=running.results, fingerprint=seen)


def contents_of(job: Job) -> Contents:
    """What files hold, shared with the other executions of a sweep."""
    return Contents(Path(job.runs_dir) / HIDDEN / "hashes")


def _enter(job: Job, tracker: Tracker) -> execution.Execution:
    """Make this process the instance's: directory, import path, and what the flow's calls refer to."""
    directory = job.instance.directory
    os.chdir(directory)
    set_import_path(Path(job.flow).parent, Path(job.root))
    sys.argv = [job.flow]
    sys.breakpointhook = lambda *_args, **_options: None  # as in a kernel that no debugger is attached to
    close_stdin()
    if "numpy.random" in sys.modules:
        # Forked children would all draw the same numbers; the newer generators seed themselves.
        sys.modules["numpy.random"].seed()
    running = execution.Execution(
        Path(job.root), directory, Path(job.runs_dir), tracker, last_import=next(reversed(sys.modules))
    )
    execution.begin(running)
    tracker.install()
    return running


def study(flow: Path, content: bytes) -> tuple[NotebookNode, FlowCode]:
    """The flow's notebook as papermill takes it, and what its code says."""
    import nbformat

    text, code = _studied(flow, content)
    return nbformat.from_dict(json.loads(text)), code


@functools.lru_cache(maxsize=8)
def _studied(flow: Path, content: bytes) -> tuple[str, FlowCode]:
    # Remembered, for a worker studies a flow once, and its children start with the answer.
    from papermill.iorw import load_notebook_node

    notebook = read_notebook(flow, content)
    code = analyse_notebook(flow, notebook)
    return json.dumps(load_notebook_node(notebook)), code


def run_cells(job: Job, notebook: NotebookNode, watch: Watch) -> BaseException | None:
    """Execute the notebook in this process, through papermill; gives the error that ended it, if any.

    These are the steps of `papermill.execute_notebook` without those that write the whole notebook as text
    once before and once after, for a caller that asked for no file.
    """
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors
    from papermill.parameterize import parameterize_notebook

    kernel = {"kernel_name": "python3", "engine_name": "ductaflow"}
    parameterize_notebook(notebook, {"config": job.config}, language="python", **kernel)
    flow = relative_to_root(job.flow, Path(job.root))
    prepare_notebook_metadata(notebook, flow, f"{Path(job.flow).stem}.ipynb", report_mode=False)
    try:
        papermill_engines.execute_notebook_with_engine(
            nb=notebook, progress_bar=False, autosave_cell_every=0, watch=watch, **kernel
        )
        raise_for_execution_errors(notebook, None)
    except PapermillExecutionError as failed:
        if watch.failure is not None and failed.ename == "CellExecutionError":  # a cell that failed without a traceback
            failed.ename, failed.evalue = watch.failure["ename"], watch.failure["evalue"]
        return cast(Exception, failed)
    except (Exception, KeyboardInterrupt) as failed:  # noqa: BLE001 - the notebook is kept, and the record says it
        return failed
    return None


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
    cell = {"cell_type": "markdown", "id": "ductaflow", "metadata": {"tags": ["ductaflow"]}, "source": text}
    notebook.cells.insert(0, nbformat.from_dict(cell))

"""One instance, executed in this process from its clean folder to its record: the child's side.

The process is made for it and ends with it, so its working directory, import path and streams are the
instance's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config.border import texts_in
from ductaflow_runtime.errors import InstanceBusyError
from ductaflow_runtime.execution.assignment import Assignment, Clock, Phase
from ductaflow_runtime.execution.context import begin
from ductaflow_runtime.execution.entry import Conclusion, Entry, open_entry
from ductaflow_runtime.execution.failure import Ran, forgive, judge, placed
from ductaflow_runtime.execution.in_process import run_in_process
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.prepare import prepare_notebook, study
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.flow import FlowCode
from ductaflow_runtime.kernel.capture import close_stdin
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.notebook import number_cells, save_notebook
from ductaflow_runtime.project import set_import_path
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.failure import interrupted, of_exception
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.runs.state import locked
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.fingerprint import fingerprint
from ductaflow_runtime.staleness.imports import imported_since
from ductaflow_runtime.staleness.tracking import Tracker

if TYPE_CHECKING:
    from nbformat import NotebookNode


def execute(given: Assignment) -> None:
    """Execute the instance and write its record; raises only if there is no folder to write it in."""
    job = given.job
    directory = job.instance.directory
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(f"{job.step}/{job.name} is being executed by another process at this moment")
        given.observe(Phase.OPEN)
        entry = open_entry(job)
        given.journal({"foreign": entry.foreign})
        try:
            conclusion = _execute_flow(given, entry)
            given.observe(Phase.CLOSE)
            entry.close(conclusion)
        except KeyboardInterrupt:
            entry.close(_broken_off(given.clock))
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs in the record
            entry.close(Conclusion(Status.FAILED, of_exception(error)))


def _broken_off(clock: Clock) -> Conclusion:
    if clock.expired():
        return Conclusion(Status.FAILED, clock.failure())
    return Conclusion(Status.INTERRUPTED, interrupted())


def _execute_flow(given: Assignment, entry: Entry) -> Conclusion:
    """The story of an execution: study the flow, run its cells, keep the notebook, say what went into it."""
    job, record = given.job, entry.record
    given.observe(Phase.STUDY)
    notebook, code = study(Path(job.flow), job.content)
    numbers = number_cells(notebook)
    kernel_name = job.kernel_name or code.kernel

    given.observe(Phase.ENTER)
    execution = _enter(job, code)
    if kernel_name is None:
        build_kernel()  # before warnings are counted: it has one of its own
    execution.warned = count_warnings()
    prepare_notebook(notebook, record.command or "", own_kernel=kernel_name is None)

    given.observe(Phase.CELLS)
    ran = _run(given, notebook, kernel_name, execution)

    given.observe(Phase.SAVE)
    given.journal({"imported": sorted(imported_since(execution.last_import))})
    save_notebook(ran.notebook, record.notebook)
    status, error = judge(ran, numbers, given.clock, execution.root)
    error = placed(error, ran, numbers, job)
    if job.export_html:
        from ductaflow_runtime.html_export.export import export_page

        export_page(ran.notebook, record.html, show_code=job.show_code)

    given.observe(Phase.FINGERPRINT)
    contents = Contents(job.project.hash_cache)
    seen = fingerprint(
        code,
        execution.tracker,
        contents,
        flow=job.flow,
        config=job.config,
        started=record.started or "",
        modules=ran.modules,
        with_packages=kernel_name is None,
    )
    return Conclusion(status, error, execution.warned.count, execution.results, seen)


def _enter(job: Job, code: FlowCode) -> Execution:
    """Make this process the instance's: directory, import path, and what the flow's calls refer to."""
    directory = job.instance.directory
    tracker = Tracker(root=job.root, own=str(directory), runs_dir=job.runs_dir)
    os.chdir(directory)
    set_import_path(Path(job.flow).parent, Path(job.root))
    sys.argv = [job.flow]
    sys.breakpointhook = lambda *_args, **_options: None  # as in a kernel that no debugger is attached to
    close_stdin()
    if "numpy.random" in sys.modules:
        # Forked children would all draw the same numbers; the newer generators seed themselves.
        sys.modules["numpy.random"].seed()
    execution = Execution(
        Path(job.root), directory, Path(job.runs_dir), tracker, last_import=next(reversed(sys.modules))
    )
    begin(execution)
    tracker.install()
    tracker.name_all([*code.literals, *texts_in(job.config)])
    return execution


def _run(given: Assignment, notebook: NotebookNode, kernel_name: str | None, execution: Execution) -> Ran:
    """Run the cells, here or on a kernel, with the log open."""
    log = Log(given.job.instance.directory / LOG_NAME)
    try:
        if kernel_name is None:
            ran = run_in_process(given, notebook, execution, log)
        else:
            from ductaflow_runtime.execution.jupyter import run_on_kernel

            ran = run_on_kernel(given, notebook, kernel_name, execution, log)
    finally:
        if given.clock.expired():
            log.feed("stderr", f"ductaflow: {given.clock.failure().message}\n")
        log.close()
    return forgive(ran)

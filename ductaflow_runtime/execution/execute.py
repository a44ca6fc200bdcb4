"""One instance, executed in this process from its clean folder to its record: the child's side.

The process is made for it and ends with it, so its working directory, import path and streams are the
instance's own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config.secrets import Mask, look_up, mask_of
from ductaflow_runtime.config.values import texts_in
from ductaflow_runtime.errors import ConfigError, DuctaflowError, InstanceBusyError
from ductaflow_runtime.execution.assignment import Assignment, Phase
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.execution.copied_inputs import copied_inputs
from ductaflow_runtime.execution.elsewhere import warn_of_patterns
from ductaflow_runtime.execution.entry import Conclusion, Entry, open_entry
from ductaflow_runtime.execution.failure import Ran, forgive, judge, placed
from ductaflow_runtime.execution.generators import Seeded
from ductaflow_runtime.execution.in_process import run_in_process
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.leftovers import tell_of_leftovers
from ductaflow_runtime.execution.masking import mask_notebook, masked_failure, masked_journal, open_log
from ductaflow_runtime.execution.occupy import occupy
from ductaflow_runtime.execution.prepare import code_of, given_by, inject, prepare_notebook, study
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.saved_results import RESULTS_NAME, read_results
from ductaflow_runtime.execution.shared import Shared, shared_for
from ductaflow_runtime.execution.usage import Usage, usage_so_far
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.kernels import HERE, Choice, Kernel, choose_kernel
from ductaflow_runtime.flow.notebook import number_cells, save_notebook
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.failure import interrupted, of_exception, of_surroundings
from ductaflow_runtime.runs.folder import make_folders
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.runs.look import Seen, look
from ductaflow_runtime.runs.record import Record, now
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.audit import listen
from ductaflow_runtime.staleness.decision import decide, mark_of
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.take_fingerprint import fingerprint

if TYPE_CHECKING:
    from nbformat import NotebookNode


def execute(given: Assignment) -> bool:
    """Execute the instance and write its record; raises only if there is no folder to write it in.

    False: another process had executed it meanwhile.
    """
    job = given.job
    directory = job.instance.directory
    make_folders(directory)
    if job.folder is None:
        make_folders(Path(job.runs_dir) / HIDDEN)
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(f"{job.step}/{job.name} is being executed by another process at this moment")
        seen = look(directory, own=True)
        if seen.state is Status.RUNNING or mark_of(seen.record) != job.planned:
            reason = _look_again(job, seen)
            if reason is None:
                return False
            job = job.but(reason=reason, attempts=[])  # another process has executed it since
        _execute(replace(given, job=job))
    return True


def _look_again(job: Job, seen: Seen) -> str | None:
    """Why the instance must still run, though another process may have executed it since it was planned."""
    flow = Path(job.flow)
    present = Present(job.project, {flow: job.content}, {flow: job.kernel_name})
    plan = decide(job.instance, present, seen, force=job.force, html=job.export_html)
    if plan.busy:
        raise InstanceBusyError(plan.busy)
    return plan.reason


def _execute(given: Assignment) -> None:
    given.observe(Phase.OPEN)
    started = now()
    given.journal({"started": started})
    entry = open_entry(given.job, started, here=_is_executed_here(given.job))
    given.journal({"foreign": entry.foreign})
    mask = mask_of(given.job.config)
    try:
        look_up(given.job.config)
        conclusion = _execute_flow(replace(given, journal=masked_journal(given.journal, mask)), entry, mask)
        given.observe(Phase.CLOSE)
        _close(given, entry, conclusion)
    except KeyboardInterrupt:
        _close(given, entry, replace(_broken_off(given), made=_made()))
    except Exception as error:  # noqa: BLE001 - whatever went wrong belongs in the record
        _close(given, entry, Conclusion(Status.FAILED, masked_failure(of_surroundings(error), mask), made=_made()))


def _close(given: Assignment, entry: Entry, conclusion: Conclusion) -> None:
    entry.close(replace(conclusion, usage=usage_so_far(given.scratch, conclusion.usage.peak_memory)))


def _is_executed_here(job: Job) -> bool:
    """Whether this Python executes the flow, and not a kernel of another language or environment."""
    with contextlib.suppress(DuctaflowError):  # then nothing executes it, as its record will say
        return choose_kernel(code_of(Path(job.flow), job.content), job.kernel_name).name == HERE
    return True


def _made() -> frozenset[str]:
    """What the flow was seen to put into its folder, if it has begun."""
    running = current()
    return frozenset() if running is None else frozenset(running.tracker.made)


def _broken_off(given: Assignment) -> Conclusion:
    if given.clock.expired() and not given.interrupted:
        return Conclusion(Status.FAILED, given.clock.failure())
    return Conclusion(Status.INTERRUPTED, interrupted())


def _execute_flow(given: Assignment, entry: Entry, mask: Mask) -> Conclusion:
    """The story of an execution: study the flow, run its cells, keep the notebook, say what went into it."""
    job, record = given.job, entry.record
    given.observe(Phase.STUDY)
    notebook, code = study(Path(job.flow), job.content)
    numbers = number_cells(notebook)
    choice = choose_kernel(code, job.kernel_name)

    given.observe(Phase.ENTER)
    shared = shared_for(job) if choice.kernel is None else None
    execution = _enter(given, code, choice, shared)
    prepare_notebook(notebook, record.command or "", own_kernel=choice.kernel is None)
    notebook = inject(notebook, given_by(job, code, choice.language), choice.name, choice.language)

    given.observe(Phase.CELLS)
    with _inputs(job, code, execution):
        ran = _run(given, Cells(notebook, choice.kernel, shared), execution, mask)

    given.observe(Phase.SAVE)
    mask_notebook(ran.notebook, mask)
    problem = entry.reclaim()
    save_notebook(ran.notebook, record.notebook)
    status, error = judge(ran, numbers, given)
    error = masked_failure(placed(error, ran, numbers, job), mask)
    if job.export_html:
        _export_page(ran.notebook, record, job)

    given.observe(Phase.FINGERPRINT)
    seen = fingerprint(
        code,
        execution.tracker,
        Contents(job.project.hash_cache),
        flow=job.flow,
        config=job.config,
        started=record.started or "",
        modules=ran.modules,
        with_packages=choice.has_our_packages,
        kernel=choice.name,
    )
    conclusion = Conclusion(status, error, fingerprint=seen, usage=Usage(peak_memory=ran.memory))
    if choice.is_python:
        conclusion = _with_what_it_told(conclusion, execution, watched=ran.watched)
    else:
        conclusion = _with_results_of_file(conclusion, entry)
    return conclusion.spoiled_by(problem)


def _export_page(notebook: NotebookNode, record: Record, job: Job) -> None:
    from ductaflow_runtime.html_export.export import export_page

    export_page(notebook, record.html, show_code=job.show_code)


def _with_what_it_told(conclusion: Conclusion, execution: Execution, *, watched: bool) -> Conclusion:
    """A flow that calls ductaflow has given it results and tables; its warnings are known if somebody watched."""
    warned = execution.warned.count if watched else None
    outside = execution.tracker.outside.changed(execution.tracker.absent) if watched else None
    results, tables = execution.named_results, execution.tables
    return replace(conclusion, warnings=warned, results=results, tables=tables, made=_made(), outside=outside)


def _with_results_of_file(conclusion: Conclusion, entry: Entry) -> Conclusion:
    """A flow that cannot call `save_results` leaves a file; nobody has counted its warnings."""
    try:
        found = read_results(entry.record.directory) if entry.has_written(RESULTS_NAME) else {}
        return replace(conclusion, results=found, tables={})
    except ConfigError as error:
        if conclusion.status is not Status.DONE:
            return replace(conclusion, results={}, tables={})  # it failed before: that is what must be told
        return replace(conclusion, status=Status.FAILED, error=of_exception(error), results={}, tables={})


def _enter(given: Assignment, code: FlowCode, choice: Choice, shared: Shared | None) -> Execution:
    """Make this process the instance's: directory, import path, and what the flow's calls refer to."""
    job = given.job
    execution = occupy(job, job.instance.directory, goes_on=shared is not None)
    if shared is None:
        Seeded().restore()
    else:
        shared.take_over(execution)
    listen(execution.tracker)
    execution.tracker.name_all([*code.literals, *texts_in(job.config)])
    execution.tracker.on_made = lambda name: given.journal({"made": [name]})
    if choice.kernel is None:
        build_kernel()  # before warnings are counted: it has one of its own
    execution.warned = count_warnings(shared.warned if shared is not None else 0)
    warn_of_patterns(execution, Path(job.flow))
    return execution


def _inputs(job: Job, code: FlowCode, execution: Execution) -> contextlib.AbstractContextManager[None]:
    """Where the project wants it, what the flow names from its own folder is there while its cells run."""
    texts = [*code.literals, *texts_in(job.config)] if job.copy_inputs else []
    return copied_inputs(texts, Path(job.flow), job.instance.directory, execution.tracker)


@dataclass(frozen=True)
class Cells:
    """A notebook to be run: on a kernel, or here without one, after the cells that are `shared`."""

    notebook: NotebookNode
    kernel: Kernel | None
    shared: Shared | None


def _run(given: Assignment, cells: Cells, execution: Execution, mask: Mask) -> Ran:
    """Run the cells, here or on a kernel, with the log open."""
    log = open_log(given.job.instance.directory / LOG_NAME, mask)
    try:
        if cells.kernel is None:
            ran = run_in_process(given, cells.notebook, execution, log, cells.shared)
        else:
            from ductaflow_runtime.execution.jupyter import FlowOnKernel, run_on_kernel

            ran = run_on_kernel(given, FlowOnKernel(cells.notebook, cells.kernel), execution, log)
        tell_of_leftovers(log, execution)
    finally:
        if given.clock.expired():
            log.feed("stderr", f"ductaflow: {given.clock.failure().message}\n")
        log.close()
    return forgive(ran)

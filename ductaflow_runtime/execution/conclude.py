"""What an execution comes to: what it depended on, and what it has saved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.execution.entry import Conclusion, Entry
from ductaflow_runtime.execution.failure import Ran
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.saved_results import RESULTS_NAME, read_results
from ductaflow_runtime.execution.usage import Usage
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.kernels import Choice
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.failure import of_exception
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.take_fingerprint import fingerprint


@dataclass(frozen=True)
class Basis:
    """What was executed, by which kernel, what was seen meanwhile, and how the cells ended."""

    code: FlowCode
    choice: Choice
    execution: Execution
    ran: Ran


def concluded(conclusion: Conclusion, basis: Basis, entry: Entry) -> Conclusion:
    """The conclusion with the fingerprint, the results and the tables."""
    job, ran, choice = entry.job, basis.ran, basis.choice
    seen = fingerprint(
        basis.code,
        basis.execution.tracker,
        Contents(job.project.hash_cache),
        flow=job.flow,
        config=job.config,
        started=entry.record.started or "",
        modules=ran.modules,
        with_packages=choice.has_our_packages,
        kernel=choice.name,
    )
    conclusion = replace(conclusion, fingerprint=seen, usage=Usage(peak_memory=ran.memory))
    if choice.is_python:
        return _with_what_it_told(conclusion, basis.execution, watched=ran.watched, here=choice.kernel is None)
    return _with_results_of_file(conclusion, entry)


def made_so_far() -> frozenset[str]:
    """What the flow was seen to put into its folder, if it has begun."""
    running = current()
    return frozenset() if running is None else frozenset(running.tracker.made)


def _with_what_it_told(conclusion: Conclusion, execution: Execution, *, watched: bool, here: bool) -> Conclusion:
    """A flow that calls ductaflow has given it results and tables; its warnings are known if somebody watched."""
    warned = execution.warned.count if watched else None
    tracker = execution.tracker
    outside = tracker.outside.changed(tracker.absent, here=here) if watched else None
    results, tables = execution.named_results, execution.tables
    return replace(conclusion, warnings=warned, results=results, tables=tables, made=made_so_far(), outside=outside)


def _with_results_of_file(conclusion: Conclusion, entry: Entry) -> Conclusion:
    """A flow that cannot call `save_results` leaves a file; nobody has counted its warnings."""
    try:
        found = read_results(entry.record.directory) if entry.has_written(RESULTS_NAME) else {}
        return replace(conclusion, results=found, tables={})
    except ConfigError as error:
        if conclusion.status is not Status.DONE:
            return replace(conclusion, results={}, tables={})  # it failed before: that is what must be told
        return replace(conclusion, status=Status.FAILED, error=of_exception(error), results={}, tables={})

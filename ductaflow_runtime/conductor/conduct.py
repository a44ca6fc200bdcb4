"""Plans carried out: what must be is executed, what only reads differently is refreshed, the rest is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ductaflow_runtime.conductor.earlier_results import bring_back_all
from ductaflow_runtime.conductor.jobs import Jobs
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.conductor.preflight import (
    check_before_running,
    check_memory,
    check_secrets,
    tell_of_shared_cells,
)
from ductaflow_runtime.conductor.refresh import refresh
from ductaflow_runtime.conductor.sweep import Sweep, shortened
from ductaflow_runtime.execution.context import aside, current
from ductaflow_runtime.html_export.export import require_extra
from ductaflow_runtime.runs.contents import hash_instance
from ductaflow_runtime.runs.kept import clear_dropped, keep_of
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.previous import drop_outlived
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.worker.leftovers import clear_leftovers_in_passing


def conduct(call: Call, plans: Sequence[Plan], sweep: Sweep) -> list[Outcome]:
    """Bring back what was computed before, execute what must be, refresh what only reads differently, skip the rest.

    Gives one outcome a plan.
    """
    with aside():
        try:
            outcomes = _conduct(call, plans, sweep)
        except BaseException:
            _count_as_unknown(plans)
            raise
        _count_as_inputs(outcomes)
    return outcomes


def _conduct(call: Call, plans: Sequence[Plan], sweep: Sweep) -> list[Outcome]:
    options = call.options
    if options.export_html:
        require_extra()
    present = call.present()
    plans = bring_back_all(call, plans, present)
    jobs = Jobs(call, plans, sweep.threads)
    if jobs:
        check_before_running(call)
        check_secrets(call, plans)
        check_memory(call, min(sweep.workers, len(jobs)))
        tell_of_shared_cells(call)
    outcomes = refresh_all(plans, present, options.export_html)
    if not sweep.whole:
        outcomes = {index: shortened(outcome) for index, outcome in outcomes.items()}
    clear_leftovers_in_passing()  # also where nothing must be executed
    clear_dropped(call.project.runs_dir)
    drop_outlived([plan.instance for plan in plans if not plan.reason and plan.back is None], keep_of(call.project))
    refreshed = sum(outcome.status is Status.REFRESHED and not plans[index].back for index, outcome in outcomes.items())
    for observer in sweep.observers:
        observer.planned(plans, refreshed)
    try:
        executed = sweep.run(jobs)
        outcomes |= _with_pages(plans, executed, present) if options.export_html else executed
    finally:
        for observer in sweep.observers:
            observer.finished()
    return [outcomes[index] for index in range(len(plans))]


def _with_pages(plans: Sequence[Plan], outcomes: dict[int, Outcome], present: Present) -> dict[int, Outcome]:
    """What another process had executed meanwhile has its page, too."""
    for index, outcome in outcomes.items():
        if outcome.status is Status.UP_TO_DATE and outcome.record is not None:
            refresh(plans[index], outcome.record, present, html=True)
    return outcomes


def _count_as_inputs(outcomes: Sequence[Outcome]) -> None:
    """Of a flow that this process is in the middle of, and that has run these instances."""
    running = current()
    if running is None:
        return
    for outcome in outcomes:
        found, expected = look(outcome.directory).record, outcome.record
        same = found is not None and expected is not None and found.started == expected.started
        digest = hash_instance(found) if found is not None and same else ""
        running.tracker.note_instance(str(outcome.directory / FILE_NAME), digest, str(outcome.instance.flow))


def _count_as_unknown(plans: Sequence[Plan]) -> None:
    """Of a flow that goes on although these have ended in an error: what they give is not what it has seen."""
    running = current()
    if running is None:
        return
    for plan in plans:
        running.tracker.note_instance(str(plan.instance.directory / FILE_NAME), "", str(plan.instance.flow))


def refresh_all(plans: Sequence[Plan], present: Present, html: bool) -> dict[int, Outcome]:
    """What became of those that need not run."""
    return {
        index: replace(refresh(plan, plan.record, present, html), reason=plan.told)
        for index, plan in enumerate(plans)
        if plan.record is not None and not plan.reason
    }

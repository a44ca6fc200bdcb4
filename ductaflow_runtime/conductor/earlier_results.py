"""Rows whose earlier result fits: it takes its place again, before anything is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.runs.bring_back import bring_back
from ductaflow_runtime.runs.kept import keep_of
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan, mark_of
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.why_stale import why_stale


def bring_back_all(call: Call, plans: Sequence[Plan], present: Present) -> list[Plan]:
    """The plans, with the records that are there now; a result that cannot be brought back is executed again."""
    return [plan if plan.back is None else _brought_back(call, plan, present) for plan in plans]


def _brought_back(call: Call, plan: Plan, present: Present) -> Plan:
    assert plan.back is not None
    try:
        record = _bring_back(call, plan, present)
    except (DuctaflowError, OSError):
        record = None
    if record is None:
        return replace(plan, reason=plan.back.otherwise, only_text_changed=False, back=None)
    return replace(plan, record=record)


def _bring_back(call: Call, plan: Plan, present: Present) -> Record | None:
    """The record, in its place again; `None` if another process is at the instance, or things are not as planned."""
    assert plan.back is not None
    instance = plan.instance
    with locked(instance.directory) as free:
        seen = look(instance.directory, own=True)
        if not free or seen.state is Status.RUNNING or mark_of(seen.record) != mark_of(plan.record):
            return None
        source = read_record(plan.back.place)
        if source is None or why_stale(replace(instance, folder=plan.back.place), source, present) is not None:
            return None
        return bring_back(instance, source, keep_of(call.project))

"""The one decision: whether an instance runs, and why.

Conductor, script mode and `ductaflow status` all ask here. It only reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.runs.claim import host_name
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.look import Seen, look
from ductaflow_runtime.runs.owed import Owed
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.earlier import Back, earlier_result
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.why_stale import waits_for, why_stale

FORCED = "forced"
BUSY = "running in another process"
NO_NOTEBOOK = "no stored notebook to make the HTML page of"


@dataclass(frozen=True)
class Plan:
    """One instance, its last record, and why it must run (`None`: it need not).

    `busy` tells who is executing it at this moment, if somebody is; then this call must not. It `waits` for what a plan
    of several steps will make anew: whether it must run is not known before. With `back` it need not, for an earlier
    result fits: that takes the place of the last one. It `reads` results if the execution whose
    results count has read any.
    """

    instance: Instance
    record: Record | None
    reason: str | None
    only_text_changed: bool = False
    busy: str | None = None
    waits: tuple[str, ...] = ()
    back: Back | None = None
    reads: bool = False

    @property
    def told(self) -> str | None:
        """Why it runs, or that an earlier result is brought back; `None` if there is nothing to do."""
        return self.reason if self.back is None else self.back.told

    def without_long_parts(self) -> Plan:
        """The plan with what a frame shows of the record: a sweep may hold 100,000 of them."""
        if self.record is None:
            return self
        return replace(self, record=self.record.without_long_parts())


def decide(
    instance: Instance,
    present: Present,
    seen: Seen | None = None,
    *,
    force: bool = False,
    html: bool = False,
    earlier: bool = False,
) -> Plan:
    """The plan of one instance; `seen` is what a look at it has shown, `html` whether a page is wanted.

    `earlier`: an earlier result may be brought back. Without, it executes.
    """
    seen = seen or look(instance.directory)
    record = seen.record
    if seen.state is Status.RUNNING:
        return Plan(instance, record, BUSY, busy=_who(instance, record))
    if force:
        return Plan(instance, record, FORCED)
    if seen.damage:
        return Plan(instance, record, f"record damaged: {seen.damage}")
    text = record is not None and _text_changed(record, present.code(instance.flow))
    reason = why_stale(instance, record, present)
    if reason is None and html and record is not None and not os.path.isfile(record.notebook):
        reason = NO_NOTEBOOK
    found = earlier_result(instance, record, present, html=html) if reason is not None and earlier else None
    if found is not None and reason is not None:
        return _brought_back(Plan(instance, record, reason), found, present)
    waits = _awaited(record, present) if reason is None else ()
    return Plan(instance, record, reason, text, waits=waits, reads=_reads_results(record, present))


def _reads_results(record: Record | None, present: Present) -> bool:
    """Whether an execution has read files of instances."""
    was = record.fingerprint if record is not None else None
    return was is not None and any(path.startswith(f"{present.results}/") for path in was.inputs)


def _brought_back(plan: Plan, found: Record, present: Present) -> Plan:
    """The plan of an instance that has an earlier result which fits, as far as that is known by now."""
    text = _text_changed(found, present.code(plan.instance.flow))
    waits = _awaited(found, present)
    back = None if waits else Back(found.directory, found.started, plan.reason or "")
    reads = _reads_results(found, present)
    return replace(plan, reason=None, only_text_changed=text, waits=waits, back=back, reads=reads)


def _awaited(record: Record | None, present: Present) -> tuple[str, ...]:
    return tuple(dict.fromkeys(waits_for(record, present)))


def owed_by(plans: Iterable[Plan]) -> Owed:
    """The rows with a good result of something else than what is wanted now."""
    owed: Owed = {}
    for plan in plans:
        reason = plan.reason if plan.back is None else plan.back.otherwise
        good = plan.record is not None and plan.record.status is Status.DONE
        if reason and reason not in (BUSY, FORCED, NO_NOTEBOOK) and good:
            owed[plan.instance.name] = mark_of(plan.record), reason
    return owed


def mark_of(record: Record | None) -> str:
    """What tells a record from any other of the same instance."""
    return "" if record is None else f"{record.status} {record.started} {record.finished} {record.accepted}"


def _who(instance: Instance, record: Record | None) -> str:
    """Who is executing an instance, and what to do about it."""
    text = f"{instance.step}/{instance.name} is being executed by "
    if record is None:
        return f"{text}another process, which has just begun; wait for it, or end that process"
    there = record.environment or {}
    host = "" if there.get("host") == host_name() else f" on {there.get('host')}"
    return f"{text}process {there.get('pid')}{host} since {record.started}; wait for it, or end that process"


def _text_changed(record: Record, code: FlowCode) -> bool:
    """Whether comments, markdown or tags differ from the stored notebook's."""
    if record.accepted is not None:
        return False  # an accepted instance keeps the notebook that was executed: the flow may have other cells by now
    was = record.fingerprint.code.text if record.fingerprint is not None else None
    return was is not None and was != code.text

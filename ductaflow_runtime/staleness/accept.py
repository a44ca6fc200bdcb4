"""Declare instances up to date as things are now, without executing them: for after a review."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.files import FileState, stat_file
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.instance import list_instances
from ductaflow_runtime.runs.look import held
from ductaflow_runtime.runs.record import Record, now, write_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.input_states import describe_input
from ductaflow_runtime.staleness.inventory import Found
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.take_fingerprint import fingerprint_now


def check_acceptable(found: Iterable[Found]) -> None:
    """Raise one `ConfigError` for all instances whose present state cannot be declared up to date."""
    problems = [f"{one.address}: {problem}" for one in found if (problem := _obstacle(one))]
    if problems:
        raise ConfigError("only instances that are done, and whose flow is there, can be accepted:", problems)


def _obstacle(found: Found) -> str | None:
    if found.state == Status.NEW:
        missing = found.instance
        there = list_instances(missing.runs_dir, missing.step)
        near = " or ".join(difflib.get_close_matches(missing.name, there))
        return "no such instance; " + (f"did you mean {near}?" if near else f"there are {', '.join(there[:5])}")
    if found.state != Status.DONE:
        return found.state
    return None if found.instance.flow.is_file() else found.reason


def accept(found: Found, present: Present) -> Record:
    """Declare an instance up to date as things are now; its record says since when, and what has changed."""
    assert found.record is not None
    with held(found.instance.directory, found.record) as record:
        record = record.but(
            fingerprint=fingerprint_now(found.instance, record, present),
            outputs=_present_outputs(record),
            accepted=now(),
            accepted_reason=_changes_since_it_was_executed(record, found.reason),
        )
        write_record(record, durably=True)
    return record


def _changes_since_it_was_executed(record: Record, reason: str | None) -> str | None:
    """Those that were accepted before count on, unless nobody knows them."""
    if record.accepted is not None and record.accepted_reason is None:
        return None
    return "; ".join(dict.fromkeys(filter(None, (record.accepted_reason, reason)))) or None


def _present_outputs(record: Record) -> dict[str, FileState]:
    contents = Contents()
    outputs: dict[str, FileState] = {}
    for name, stored in (record.outputs or {}).items():
        path = str(record.directory / name)
        stat = stat_file(path)
        if stat is not None:
            outputs[name] = describe_input(path, stat, contents)
            if stored.get("unseen"):
                outputs[name]["unseen"] = True
    return outputs

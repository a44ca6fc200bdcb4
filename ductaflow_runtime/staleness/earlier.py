"""Whether what an instance is asked for has been computed before: among its own earlier results, never another's.

An earlier result is looked at as a record is: by `why_stale`, and by nothing else. It only reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.runs.artifacts import snapshot
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.kept import is_trusted, kept_results
from ductaflow_runtime.runs.look import config_of
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.runs.times import local_time, stamp_of
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.value_changes import same_types
from ductaflow_runtime.staleness.why_stale import what_went_in, why_stale


@dataclass(frozen=True)
class Back:
    """An earlier result that is to be brought back from `place`, and why the instance executes if it cannot be."""

    place: Path
    started: str | None
    otherwise: str

    @property
    def told(self) -> str:
        """What becomes of the instance, where others have the reason why they are executed."""
        return f"result of {local_time(self.started)} brought back: same config, code, inputs and packages"


def earlier_result(instance: Instance, record: Record | None, present: Present, *, html: bool) -> Record | None:
    """The newest earlier result that is up to date; `html`: with a notebook to make the page of.

    None where the last execution was of the same: it has failed, or somebody has edited or deleted what it left, and
    wants to see it done again.
    """
    if record is None:
        return None
    found = next((one for one in _candidates(instance, record) if _fits(instance, one, present, html)), None)
    if found is None or _has_foreign_files(record) or not _is_of_something_else(instance, record, present):
        return None
    return found


def _candidates(instance: Instance, record: Record) -> Iterator[Record]:
    """The earlier results that may be taken without asking, newest first."""
    places = [record.previous] if record.previous is not None else []
    for place in (*places, *(kept.folder for kept in kept_results(instance))):
        try:
            one = read_record(place)
        except RecordError:
            continue
        if one is not None and is_trusted(instance, stamp_of(one.started)):
            yield one


def _fits(instance: Instance, one: Record, present: Present, html: bool) -> bool:
    """Whether an execution would give the same, and only what lies in the folder."""
    if one.status is not Status.DONE or one.outside != [] or one.links or (html and not os.path.isfile(one.notebook)):
        return False
    return why_stale(replace(instance, folder=one.directory), one, present) is None


def _has_foreign_files(record: Record) -> bool:
    """Whether somebody has put files into the folder: the flow may read them, which nobody notes."""
    there = snapshot(record.directory, record.flow_stem)
    if record.outputs is None:  # broken off
        return bool(record.foreign)
    return bool(there.keys() - {*record.outputs, *(record.links or ()), *record.attempt_logs})


def _is_of_something_else(instance: Instance, record: Record, present: Present) -> bool:
    was = record.fingerprint
    if was is not None and was.config is not None:
        return next(what_went_in(instance, record, was, present), None) is not None
    if record.brought_back is not None:
        return True  # nothing was executed: bringing it back was broken off
    config = config_of(record)
    return config != instance.config or not same_types(config, instance.config)

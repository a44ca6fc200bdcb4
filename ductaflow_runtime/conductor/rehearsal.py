"""A rehearsal of a conductor: each of its calls says what it would execute, and executes nothing.

An instance that depends on one that will run is decided on when that one has run, for only what it then reads counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call, instances_of, make_plans
from ductaflow_runtime.conductor.preflight import check_before_running
from ductaflow_runtime.conductor.unknown import (
    MARK,
    Missing,
    RehearsalEnds,
    Unknown,
    UnknownFrame,
    UnknownRecord,
    holds_unknown,
)
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.awaited import Awaited
from ductaflow_runtime.staleness.decision import FORCED, Plan
from ductaflow_runtime.staleness.value_changes import same_types, value_changes

if TYPE_CHECKING:
    import pandas as pd

# A conductor that starts processes of its own must not have them execute anything.
_IN_REHEARSAL = "DUCTAFLOW_IN_REHEARSAL"
_MADE_OF_UNKNOWN = "makes its rows of results that do not exist yet"


@dataclass
class Rehearsal:
    """What the calls so far would execute: `steps` in the order of their first call.

    `aside` is entered while the runtime works for a call.
    """

    steps: dict[str, list[Plan]] = field(default_factory=dict)
    aside: Callable[[], AbstractContextManager[object]] = nullcontext
    ended: RehearsalEnds | None = None
    _awaited: dict[str, Awaited] = field(default_factory=dict)
    _planned: dict[str, Instance] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)

    def rows(self, control_df: pd.DataFrame, call: Call) -> Any:
        """The frame that the call would give, as far as it is known."""
        from ductaflow_runtime.conductor.dataframe import outcome_frame, plan_frame

        with self._reading_rows():
            instances = instances_of(control_df, call)
        plans = self._plan(call, instances)
        if self._unsure(plans):
            known = plan_frame(control_df, [plan.told for plan in plans])
            if any(plan.waits for plan in plans):
                known = known.drop(columns="reason")
            known["directory"] = [str(plan.instance.directory) for plan in plans]
            return UnknownFrame(self._missing(call.step, plans), known)
        return outcome_frame(control_df, [_kept(plan) for plan in plans])

    def one(self, call: Call, read: Callable[[], Instance]) -> Any:
        """The record that the call would give, as far as it is known."""
        with self._reading_rows():
            instance = read()
        (plan,) = plans = self._plan(call, [instance])
        record = _kept(plan).as_record(call.project)
        if not self._unsure(plans):
            return record
        known = ("directory", "flow", "step", "instance_name", "notebook", "log", "html")
        return UnknownRecord(self._missing(call.step, plans), {name: getattr(record, name) for name in known})

    def reasons(self, control_df: pd.DataFrame, call: Call) -> list[str | None]:
        """What `plan_instances` would say."""
        with self._reading_rows():
            instances = instances_of(control_df, call)
        with self.aside():
            plans = make_plans(call, instances, awaited=self._awaited_in(call))
        if any(plan.waits or str(plan.instance.directory) in self._planned for plan in plans):
            self.end(f"needs the reasons of {call.step}, which depend on what would run before")
        return [plan.told for plan in plans]

    def results(self, runs_dir: os.PathLike[str], step: str | None) -> Unknown | None:
        """What `load_results` gives where some of it will be made anew; `None` where all of it is there."""
        self.go_on()
        awaited = self._awaited.get(os.fspath(runs_dir))
        if awaited is None or not (awaited.instances if step is None else list(awaited.of_step(step))):
            return None
        return Unknown(Missing(f"results of {step or 'all steps'}, some of which would be made anew", self.end))

    def awaits(self, path: str) -> str | None:
        """What will make anew what lies at an absolute path, or would have been written there."""
        if path in self._written:
            return path
        return next((found for awaited in self._awaited.values() if (found := awaited.by(path))), None)

    def note_written(self, path: str) -> None:
        """The conductor would have written a file, or made a folder, at an absolute path."""
        self._written.add(path)
        for awaited in self._awaited.values():
            awaited.files.add(path)

    def end(self, why: str) -> NoReturn:
        """End it: `why` says what the conductor does that a plan cannot follow."""
        self.ended = self.ended or RehearsalEnds(why)
        raise self.ended

    def go_on(self) -> None:
        """Raise what has ended the rehearsal, whatever the conductor has made of it."""
        if self.ended is not None:
            raise self.ended

    @contextmanager
    def _reading_rows(self) -> Iterator[None]:
        """While rows are read: what cannot be a config because it is not known yet ends it."""
        self.go_on()
        try:
            with self.aside():
                yield
        except ConfigError as error:
            if MARK in str(error):
                self.end(_MADE_OF_UNKNOWN)
            raise

    def _missing(self, step: str, plans: Sequence[Plan]) -> Missing:
        number = sum(plan.told is not None or bool(plan.waits) for plan in plans)
        rows = f"{number} of {len(plans)} rows" if len(plans) > 1 else "the instance"
        would = "would run or be brought back" if any(plan.back for plan in plans) else "would run"
        what = f"results of {step}, of which {rows} {would}" if number else f"results of {step}, which would run"
        return Missing(what, self.end)

    def _plan(self, call: Call, instances: Sequence[Instance]) -> list[Plan]:
        with self.aside():
            if any(holds_unknown([one.name, one.step, one.config]) for one in instances):
                self.end(_MADE_OF_UNKNOWN)
            awaited = self._awaited_in(call)
            plans = [self._after_others(plan) for plan in make_plans(call, instances, awaited=awaited)]
            if any(plan.reason for plan in plans):
                check_before_running(call)
            self.steps.setdefault(call.step, []).extend(plans)
            for plan in plans:
                if plan.told or plan.waits:
                    awaited.instances.add(str(plan.instance.directory))
                    self._planned[str(plan.instance.directory)] = plan.instance
        return plans

    def _awaited_in(self, call: Call) -> Awaited:
        runs_dir = call.project.runs_dir
        return self._awaited.setdefault(str(runs_dir), Awaited(runs_dir, files=set(self._written)))

    def _after_others(self, plan: Plan) -> Plan:
        """The plan of an instance that another call of this conductor will have executed."""
        earlier = self._planned.get(str(plan.instance.directory))
        if earlier is None or plan.reason == FORCED:
            return plan
        if earlier.flow == plan.instance.flow and same_types(earlier.config, plan.instance.config):
            return Plan(plan.instance, plan.record, None)
        if plan.reason is None:  # what fits now may be an earlier result by then, and brought back
            return replace(plan, back=None, waits=(f"{plan.instance.step}/{plan.instance.name}",))
        changes = "; ".join(value_changes("config", earlier.config, plan.instance.config))
        return Plan(plan.instance, plan.record, changes or f"flow: {earlier.flow.name} -> {plan.instance.flow.name}")

    def _unsure(self, plans: Sequence[Plan]) -> bool:
        return any(plan.told or plan.waits or str(plan.instance.directory) in self._planned for plan in plans)


def _kept(plan: Plan) -> Outcome:
    """What becomes of an instance that need not run."""
    status = Status.REFRESHED if plan.only_text_changed else Status.UP_TO_DATE
    record = None if plan.record is None else plan.record.but(skipped=True)
    return Outcome(status, plan.instance, plan.reason, record)


@contextmanager
def beside_rehearsal() -> Iterator[None]:
    """While the runtime works for a call: what it opens and starts is not the conductor's doing."""
    with nullcontext() if _current is None else _current.aside():
        yield


# Global, for a conductor's calls take no handle: a process rehearses a conductor or it does not.
_current: Rehearsal | None = None


def current_rehearsal() -> Rehearsal | None:
    """The rehearsal that this process is in the middle of; raises `ConfigError` in a process that one has started."""
    if _current is None and os.environ.get(_IN_REHEARSAL) not in (None, str(os.getpid())):
        raise ConfigError("ductaflow plan executes nothing, nor does a process that the conductor starts")
    return _current


@contextmanager
def rehearsing() -> Iterator[Rehearsal]:
    """Within, the calls of this process execute nothing."""
    global _current
    _current = Rehearsal()
    os.environ[_IN_REHEARSAL] = str(os.getpid())
    try:
        yield _current
    finally:
        _current = None
        del os.environ[_IN_REHEARSAL]

"""From what a call asks for to a plan: which instances there are, and why each must run or need not. Only reads."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config import Config, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.flow import FlowCode, find_flow
from ductaflow_runtime.project import Project, Settings
from ductaflow_runtime.runs.instance import Instance, check_name
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.state import Seen, look
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.why_stale import Present, why_stale

if TYPE_CHECKING:
    import pandas as pd

    PathLike = str | os.PathLike[str]


FORCED = "forced"
BUSY = "running in another process"
_LONGEST = 100


@dataclass(frozen=True)
class Options:
    """What a call asks for beyond flow and configs; raises `ConfigError` for a number that is none."""

    force: bool = False
    timeout: float | None = None
    export_html: bool = False
    kernel_name: str | None = None
    workers: int | None = None
    stop: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeout", _seconds(self.timeout))
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise ConfigError(f"workers must be a whole number above 0, not {self.workers!r}")

    def with_settings(self, settings: Settings) -> Options:
        """What the call leaves open, as the project's settings say."""
        return replace(
            self,
            timeout=settings.timeout if self.timeout is None else self.timeout,
            export_html=self.export_html or settings.export_html,
            workers=self.workers or settings.workers,
        )


@dataclass(frozen=True)
class Call:
    """What is asked for: a flow and its step, in which project, with which options."""

    project: Project
    flow: Path
    step: str
    options: Options


@dataclass(frozen=True)
class Plan:
    """One instance, its last record, and why it must run (`None`: it need not).

    `busy` tells who is executing it at this moment, if somebody is; then this call must not.
    """

    instance: Instance
    record: Record | None
    reason: str | None
    only_text_changed: bool = False
    busy: str | None = None

    def without_long_parts(self) -> Plan:
        """The plan with what a frame shows of the record: a sweep may hold 100,000 of them."""
        if self.record is None:
            return self
        return replace(self, record=self.record.but(fingerprint=None, outputs=None, environment=None))


def make_call(
    notebook_file: PathLike,
    step_name: str | None = None,
    runs_dir: PathLike | None = None,
    options: Options | None = None,
) -> Call:
    """Find project, flow and step, and settle the options; raises for a flow that is not there."""
    project = Project.find(runs_dir)
    flow = find_flow(notebook_file, project.root)
    step = check_name(flow.stem if step_name is None else step_name, "step name")
    return Call(project, flow, step, (options or Options()).with_settings(project.settings))


def instance_of(call: Call, name: str, config: Config) -> Instance:
    """One instance of the flow."""
    return Instance(call.flow, call.step, name, config, call.project.runs_dir)


def instances_of(control_df: pd.DataFrame, call: Call) -> list[Instance]:
    """The rows as instances, all validated."""
    from ductaflow_runtime.conductor.dataframe import read_rows

    return [instance_of(call, name, config) for name, config in read_rows(control_df)]


def make_plans(call: Call, instances: Sequence[Instance], *, whole: bool = False) -> list[Plan]:
    """Decide for each instance whether it must run. `whole` keeps the records' long parts, of 5 KB each."""
    present = Present(call.project)
    present.code(call.flow)  # a flow that cannot be executed is an error before anything runs
    options = call.options
    plans = (plan_one(instance, present, options.force, options.export_html) for instance in instances)
    return list(plans) if whole else [plan.without_long_parts() for plan in plans]


def plan_one(instance: Instance, present: Present, force: bool = False, html: bool = False) -> Plan:
    """The plan of one instance."""
    seen = look(instance.directory)
    record = seen.record
    if seen.state == Status.RUNNING:
        return Plan(instance, record, BUSY, busy=_who(instance, seen))
    if force:
        return Plan(instance, record, FORCED)
    # An accepted instance keeps the notebook that was executed: the flow may have other cells by now.
    text = record is not None and record.accepted is None and _text_changed(record, present.code(instance.flow))
    reason = f"record damaged: {seen.damage}" if seen.damage else why_stale(instance, record, present)
    if reason is None and html and record is not None and not record.notebook.is_file():
        reason = "no stored notebook to make the HTML page of"
    return Plan(instance, record, reason, text)


def announce(step: str, plans: Sequence[Plan], refreshed: int = 0) -> str:
    """One line that says what will run and why, the commonest reasons first, and what need not run."""
    counts = Counter(plan.reason for plan in plans)
    idle, busy = counts.pop(None, 0) - refreshed, counts.pop(BUSY, 0)
    told = [f"{count} {_shorten(str(reason))}" for reason, count in counts.most_common(3)]
    if len(counts) > 3:
        told.append(f"{sum(count for _, count in counts.most_common()[3:])} for other reasons")
    why = f" ({' | '.join(told)})" if told else ""
    parts = [f"{counts.total()} to run{why}"]
    parts += [f"{count} {what}" for count, what in ((busy, BUSY), (refreshed, "refreshed")) if count]
    if idle or not refreshed:
        parts.append(f"{idle} up to date")
    return f"{step}: {', '.join(parts)}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _who(instance: Instance, seen: Seen) -> str:
    """Who is executing an instance, and what to do about it."""
    text, record = f"{instance.step}/{instance.name} is being executed by ", seen.record
    if record is None:
        return f"{text}another process, which has just begun; wait for it, or end that process"
    process = (record.environment or {}).get("pid")
    return f"{text}process {process} since {record.started}; wait for it, or end that process"


def _text_changed(record: Record, code: FlowCode) -> bool:
    """Whether comments, markdown or tags differ from the stored notebook's."""
    was = record.fingerprint.code.text if record.fingerprint is not None else None
    return was is not None and was != code.text


def _seconds(timeout: object) -> float | None:
    """A time limit as a plain number, numpy's taken as well."""
    if timeout is None:
        return None
    value = to_json(timeout, "timeout", [])
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"timeout must be a number of seconds above 0, not {timeout!r}; leave it out to set no limit")
    return value  # type: ignore[return-value]

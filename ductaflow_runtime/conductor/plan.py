"""From what a call asks for to a plan: which instances there are, and why each must run or need not. Only reads."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config import to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.flow import FlowCode, find_flow
from ductaflow_runtime.project import Settings, find_root, load_settings, resolve_runs_dir
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
    """What a call asks for beyond flow and configs; raises `ConfigError` for a time limit that is none."""

    force: bool = False
    timeout: float | None = None
    export_html: bool = False
    kernel_name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeout", _seconds(self.timeout))


@dataclass(frozen=True)
class Setting:
    """Where a call takes place."""

    root: Path
    settings: Settings
    flow: Path
    step: str
    runs_dir: Path


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


def locate(notebook_file: PathLike, step_name: str | None, runs_dir: PathLike | None) -> Setting:
    """Project, settings, flow and step of a call; raises for a flow that is not there."""
    root = find_root()
    settings = load_settings(root)
    flow = find_flow(notebook_file, root)
    step = check_name(flow.stem if step_name is None else step_name, "step name")
    return Setting(root, settings, flow, step, resolve_runs_dir(root, settings, runs_dir))


def instances_of(control_df: pd.DataFrame, place: Setting) -> list[Instance]:
    """The rows as instances, all validated."""
    from ductaflow_runtime.conductor.dataframe import read_rows

    return [Instance(place.flow, place.step, name, config, place.runs_dir) for name, config in read_rows(control_df)]


def make_plans(place: Setting, instances: Sequence[Instance], options: Options, *, whole: bool = False) -> list[Plan]:
    """Decide for each instance whether it must run. `whole` keeps the records' long parts, of 5 KB each."""
    present = Present(place.root, place.runs_dir)
    present.code(place.flow)  # a flow that cannot be executed is an error before anything runs
    html = wants_html(place, options)
    plans = (plan_one(instance, present, options.force, html) for instance in instances)
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


def wants_html(place: Setting, options: Options) -> bool:
    """Whether a call asks for pages."""
    return options.export_html or place.settings.export_html


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

"""From what a call asks for to a plan: which instances there are, and why each must run or need not. Only reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.errors import ConfigError, InstanceBusyError
from ductaflow_runtime.flow import find_flow
from ductaflow_runtime.instance import Instance, check_name, is_alive
from ductaflow_runtime.project import Settings, find_root, load_settings, resolve_runs_dir
from ductaflow_runtime.record import Record, Status
from ductaflow_runtime.staleness import FORCED, Present, last_record, text_changed, why_stale

if TYPE_CHECKING:
    import pandas as pd

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Options:
    """What a call asks for beyond flow and configs."""

    force: bool = False
    timeout: float | None = None
    export_html: bool = False
    kernel_name: str | None = None


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
    """One instance, its last record, and why it must run (`None`: it need not)."""

    instance: Instance
    record: Record | None
    reason: str | None
    only_text_changed: bool = False

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
    from ductaflow_runtime.frame import read_rows

    return [Instance(place.flow, place.step, name, config, place.runs_dir) for name, config in read_rows(control_df)]


def make_plans(place: Setting, instances: Sequence[Instance], options: Options, *, whole: bool = False) -> list[Plan]:
    """Decide for each instance whether it must run. `whole` keeps the records' long parts, of 5 KB each."""
    if options.timeout is not None and not options.timeout > 0:
        raise ConfigError(f"timeout must be a number of seconds above 0, not {options.timeout!r}")
    present = Present(place.root, place.runs_dir)
    present.code(place.flow)  # a flow that cannot be executed is an error before anything runs
    html = wants_html(place, options)
    plans = (plan_one(instance, present, options.force, html) for instance in instances)
    return list(plans) if whole else [plan.without_long_parts() for plan in plans]


def plan_one(instance: Instance, present: Present, force: bool = False, html: bool = False) -> Plan:
    """The plan of one instance."""
    record, damage = last_record(instance)
    if record is not None and record.status is Status.RUNNING and is_alive(record):
        raise InstanceBusyError(
            f"{instance.step}/{instance.name} is being executed by process "
            f"{(record.environment or {}).get('pid')} since {record.started}; wait for it, or end that process"
        )
    if force:
        return Plan(instance, record, FORCED)
    # An accepted instance keeps the notebook that was executed: the flow may have other cells by now.
    text = record is not None and record.accepted is None and text_changed(record, present.code(instance.flow))
    reason = damage or why_stale(instance, record, present)
    if reason is None and html and record is not None and not record.notebook.is_file():
        reason = "no stored notebook to make the HTML page of"
    return Plan(instance, record, reason, text)


def wants_html(place: Setting, options: Options) -> bool:
    """Whether a call asks for pages."""
    return options.export_html or place.settings.export_html

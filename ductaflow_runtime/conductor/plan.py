"""From what a call asks for to a plan: which instances there are, and why each must run or need not. Only reads."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.conductor.kernel import settle_kernel
from ductaflow_runtime.config.border import Config, to_config, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.flow import find_flow
from ductaflow_runtime.project import Project, Settings
from ductaflow_runtime.runs.instance import Instance, as_name, check_name, default_name
from ductaflow_runtime.staleness.decision import Plan, decide
from ductaflow_runtime.staleness.why_stale import Present

if TYPE_CHECKING:
    import pandas as pd

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a call asks for beyond flow and configs; raises `ConfigError` for a number that is none."""

    force: bool = False
    timeout: float | None = None
    export_html: bool = False
    kernel_name: str | None = None
    workers: int | None = None
    stop: bool = False
    wait: float | None = None

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
            wait=settings.wait if self.wait is None else self.wait,
        )


@dataclass(frozen=True)
class Call:
    """What is asked for: a flow and its step, in which project, with which options."""

    project: Project
    flow: Path
    step: str
    options: Options


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


def instance_of(call: Call, config: Config | None, name: str | int | None = None) -> Instance:
    """One instance of the flow, named by `name`, else by its config."""
    clean = to_config(config)
    named = default_name(clean) if name is None else check_name(as_name(name))
    return Instance(call.flow, call.step, named, clean, call.project.runs_dir)


def instances_of(control_df: pd.DataFrame, call: Call) -> list[Instance]:
    """The rows as instances, all validated."""
    from ductaflow_runtime.conductor.dataframe import read_rows

    runs_dir = call.project.runs_dir
    return [Instance(call.flow, call.step, name, config, runs_dir) for name, config in read_rows(control_df)]


def make_plans(call: Call, instances: Sequence[Instance], *, whole: bool = False) -> list[Plan]:
    """Decide for each instance whether it must run. `whole` keeps the records' long parts, of 5 KB each."""
    present = Present(call.project)
    options = call.options
    # A flow that cannot be executed is an error before anything runs.
    choice = settle_kernel(present.code(call.flow), options.kernel_name, instances)
    present.kernel = choice.name
    plans = (decide(instance, present, force=options.force, html=options.export_html) for instance in instances)
    return list(plans) if whole else [plan.without_long_parts() for plan in plans]


def _seconds(timeout: object) -> float | None:
    """A time limit as a plain number, numpy's taken as well."""
    if timeout is None:
        return None
    value = to_json(timeout, "timeout", [])
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"timeout must be a number of seconds above 0, not {timeout!r}; leave it out to set no limit")
    return value  # type: ignore[return-value]

"""From what a call asks for to a plan: which instances there are, and why each must run or need not. Only reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.conductor.dates import dates_of_rows
from ductaflow_runtime.conductor.kernel import settle_kernel
from ductaflow_runtime.config.base import ABSENT, merge_base
from ductaflow_runtime.config.dotted import nest
from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.secrets import plain_secrets, shape_problems
from ductaflow_runtime.config.values import Config, date_keys, to_config, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import MOST, brief
from ductaflow_runtime.flow.analysis import analyse, find_flow
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.notebook import read_bytes
from ductaflow_runtime.memory import AMOUNT, read_amount
from ductaflow_runtime.parameters.expected import Expected, expect
from ductaflow_runtime.parameters.gate import admit
from ductaflow_runtime.parameters.languages import PYTHON
from ductaflow_runtime.project import Project, places_of
from ductaflow_runtime.runs.instance import Instance, as_name, check_name, default_name
from ductaflow_runtime.staleness.awaited import Awaited
from ductaflow_runtime.staleness.decision import Plan, decide
from ductaflow_runtime.staleness.present import Present

if TYPE_CHECKING:
    import pandas as pd

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a call asks for beyond flow and configs; raises `ConfigError` for a number that is none.

    `max_memory` is in bytes once it is made.
    `elsewhere`: an executor of the user's executes, perhaps with other packages than this process has.
    """

    force: bool = False
    timeout: float | None = None
    max_memory: str | int | None = None
    export_html: bool = False
    kernel_name: str | None = None
    workers: int | None = None
    elsewhere: bool = False
    wait: float | None = None
    retries: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeout", _seconds(self.timeout))
        object.__setattr__(self, "max_memory", _bytes(self.max_memory))
        object.__setattr__(self, "retries", _count("retries", self.retries, least=0))
        object.__setattr__(self, "workers", _count("workers", self.workers, least=1))
        for name in ("force", "export_html"):
            object.__setattr__(self, name, truth(name, getattr(self, name)))
        if not isinstance(self.kernel_name, str | None):
            raise ConfigError(
                f'kernel_name must be the name of a Jupyter kernel, such as "python3", not {brief(self.kernel_name)}'
            )

    @property
    def bytes_of_memory(self) -> int | None:
        """What an instance may hold."""
        return _bytes(self.max_memory)

    def settled(self, project: Project) -> Options:
        """What the call leaves open, as the project's settings say."""
        settings = project.settings
        return replace(
            self,
            timeout=settings.timeout if self.timeout is None else self.timeout,
            max_memory=settings.max_memory if self.max_memory is None else self.max_memory,
            export_html=self.export_html or settings.export_html,
            workers=self.workers or settings.workers,
            wait=settings.wait if self.wait is None else self.wait,
            retries=settings.retries if self.retries is None else self.retries,
        )


@dataclass(frozen=True)
class Call:
    """What is asked for: a flow and its step, in which project, with which options.

    `base` is what all configs share, `None` if nothing was said of that. `text` is what the flow's file held when the
    call began: that is planned, and that is executed.
    """

    project: Project
    flow: Path
    code: FlowCode
    step: str
    options: Options
    text: bytes
    base: Config | None = None

    @property
    def expected(self) -> Expected:
        """What the flow expects to be given."""
        code, project = self.code, self.project
        return expect(
            self.flow,
            project.root,
            code.keys,
            default_config=code.default_config,
            base=self.base,
            # Keys of other languages are looked at where their kernel is settled.
            unknown_keys=project.settings.unknown_keys if code.language == PYTHON else "ignore",
        )

    def present(self, awaited: Awaited | None = None) -> Present:
        """The project as it is now, and the flow as it was when the call began; in a rehearsal, what is `awaited`."""
        kernels = {self.flow: self.options.kernel_name}
        return Present(self.project, {self.flow: self.text}, kernels, awaited=awaited, keep=awaited is None)


def make_call(
    notebook_file: PathLike,
    step_name: str | None = None,
    project: Project | None = None,
    options: Options | None = None,
    base_config: PathLike | Config | None = None,
) -> Call:
    """Find flow and step, and settle the options; raises for a flow that is not there or cannot be read."""
    project = project or Project.find()
    flow = find_flow(notebook_file, project.root)
    step = check_name(flow.stem if step_name is None else step_name, "step name")
    settled = (options or Options()).settled(project)
    text = read_bytes(flow)
    code = analyse(flow, project.flow_cache, text, keep=False)
    return Call(project, flow, code, step, settled, text, read_base(base_config, project.root))


def read_base(given: PathLike | Config | None, root: Path) -> Config | None:
    """What all configs share, given as a dict or as the path of a config file; raises `ConfigError`."""
    if given is None:
        return None
    if not isinstance(given, (str, os.PathLike)):
        return to_config(given, "base_config")
    places = places_of(given, root)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        other = next((place for place in places if place.exists()), None)
        if other is not None:
            raise ConfigError(f"base_config is no file: {other}; give the path of a config file, or a dict")
        raise ConfigError(f"base_config not found: {' or '.join(map(str, places))}")
    return read_config_file(found)


def instance_of(call: Call, config: Config | None, name: str | int | None = None) -> Instance:
    """One instance of the flow, named by `name`, else by its config.

    With a base, the config is taken like a row: dotted keys reach into the base, and `None` leaves what the base has.
    """
    clean = to_config(config)
    if call.base is not None:
        conflicts: list[str] = []
        nest([(key, None) for key in clean], conflicts)
        if conflicts:
            raise ConfigError("config cannot be laid over base_config:", conflicts)
        row = ((key, ABSENT if value is None else value) for key, value in clean.items())
        clean = merge_base(call.base, row, "config")
    problems = [*shape_problems(clean), *plain_secrets(clean)]
    if problems:
        raise ConfigError("the config has secrets that cannot be used:", problems)
    admit(call.expected, clean, once=True)
    named = default_name(clean) if name is None else check_name(as_name(name))
    return Instance(call.flow, call.step, named, clean, call.project.runs_dir, dates=tuple(date_keys(config or {})))


def instances_of(control_df: pd.DataFrame, call: Call) -> list[Instance]:
    """The rows as instances, all validated."""
    from ductaflow_runtime.conductor.dataframe import NAME, read_rows

    runs_dir = call.project.runs_dir
    rows = read_rows(control_df, call.expected, call.base)
    dates = dates_of_rows(control_df, NAME)
    return [
        Instance(call.flow, call.step, name, config, runs_dir, dates=dates.get(row, ()))
        for row, (name, config) in enumerate(rows)
    ]


def make_plans(
    call: Call, instances: Sequence[Instance], *, whole: bool = False, awaited: Awaited | None = None
) -> list[Plan]:
    """Decide for each instance whether it must run. `whole` keeps the records' long parts, of 5 KB each."""
    present = call.present(awaited)
    options = call.options
    # A flow that cannot be executed is an error before anything runs.
    unknown_keys = call.project.settings.unknown_keys
    settle_kernel(present.code(call.flow), options.kernel_name, instances, unknown_keys)
    force, html, earlier = options.force, options.export_html, bool(call.project.settings.keep)
    plans = (decide(instance, present, force=force, html=html, earlier=earlier) for instance in instances)
    return list(plans) if whole else [plan.without_long_parts() for plan in plans]


def _count(what: str, given: object, *, least: int) -> int | None:
    """A whole number as a plain one, numpy's taken as well."""
    if given is None:
        return None
    value = to_json(given, what, [])
    if type(value) is not int or not least <= value <= MOST:
        wanted = "above 0" if least else "0 or more"
        raise ConfigError(f"{what} must be a whole number{' ' if least else ', '}{wanted}, not {brief(given)}")
    return value


def truth(what: str, given: object) -> bool:
    """True or false as it is, numpy's taken as well: any text would be true, `"no"` included."""
    value = False if given is None else to_json(given, what, [])
    if value not in (True, False) or isinstance(value, float):
        raise ConfigError(f"{what} must be True or False, not {brief(given)}")
    return bool(value)


def _seconds(timeout: object) -> float | None:
    """A time limit as a plain number, numpy's taken as well."""
    if timeout is None:
        return None
    value = to_json(timeout, "timeout", [])
    if type(value) not in (int, float) or not 0 < value <= MOST:  # type: ignore[operator]
        raise ConfigError(
            f"timeout must be a number of seconds above 0, not {brief(timeout)}; leave it out to set no limit"
        )
    return value  # type: ignore[return-value]


def _bytes(limit: object) -> int | None:
    """A limit of memory in bytes."""
    if limit is None:
        return None
    value = to_json(limit, "max_memory", [])
    try:
        return read_amount(value)
    except ValueError:
        raise ConfigError(f"max_memory must be {AMOUNT}, not {brief(limit)}; leave it out to set no limit") from None

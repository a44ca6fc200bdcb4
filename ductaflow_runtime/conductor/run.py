"""What the conductor calls. The whole way on one screen:

rows -> configs -> instances -> why_stale -> jobs -> workers -> records -> the frame with what became of it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from ductaflow_runtime.conductor.plan import (
    Call,
    Options,
    Plan,
    announce,
    instance_of,
    instances_of,
    make_call,
    make_plans,
)
from ductaflow_runtime.conductor.refresh import refresh
from ductaflow_runtime.conductor.sweep import Sweep, without_record
from ductaflow_runtime.config import to_config
from ductaflow_runtime.errors import ConfigError, FlowError, InstanceBusyError, InstancesFailed
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.html_export.export import require_extra
from ductaflow_runtime.runs.instance import as_name, check_name, default_name
from ductaflow_runtime.runs.record import Outcome, Record
from ductaflow_runtime.staleness.inventory import remember_control
from ductaflow_runtime.staleness.why_stale import Present
from ductaflow_runtime.status_page.live import LivePage, write_at_exit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import pandas as pd

    PathLike = str | os.PathLike[str]

OnError = Literal["raise", "continue", "stop"]


def run_notebook(
    notebook_file: PathLike,
    config: dict[str, Any] | None = None,
    *,
    instance_name: str | int | None = None,
    step_name: str | None = None,
    runs_dir: PathLike | None = None,
    force: bool = False,
    timeout: float | None = None,
    export_html: bool = False,
    kernel_name: str | None = None,
) -> Record:
    """Execute one instance of a flow, unless it is up to date, and give its record.

    `notebook_file` is relative to the working directory or the project root. The instance is named by
    `instance_name`, else the config's `"instance_name"`, else a digest of the config. `timeout` is in
    seconds. Raises `FlowError` when the flow fails, `ConfigError` or `FlowFileError` before anything runs,
    `InstanceBusyError` while another process executes the instance.
    """
    call = make_call(notebook_file, step_name, runs_dir, Options(force, timeout, export_html, kernel_name, workers=1))
    clean = to_config(config)
    name = default_name(clean) if instance_name is None else check_name(as_name(instance_name))
    plan = make_plans(call, [instance_of(call, name, clean)], whole=True)[0]
    if plan.busy:
        raise InstanceBusyError(plan.busy)
    (record,) = carry_out(call, [plan], quiet=True)
    if record.outcome is Outcome.FAILED:
        error = record.error
        if record.started is None and error is not None and error.type == InstanceBusyError.__name__:
            raise InstanceBusyError(error.message)
        raise FlowError(record)
    return record


def run_step_flow(
    notebook_file: PathLike,
    step_name: str,
    instance_name: str | int,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> Record:
    """`run_notebook` with step and instance named; it takes the same options."""
    return run_notebook(notebook_file, config, step_name=step_name, instance_name=instance_name, **options)


def run_instances(
    control_df: pd.DataFrame,
    notebook_file: PathLike,
    *,
    step_name: str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    force: bool = False,
    on_error: OnError = "raise",
    timeout: float | None = None,
    export_html: bool = False,
    runs_dir: PathLike | None = None,
) -> pd.DataFrame:
    """Execute each row of a control dataframe that is not up to date; give the rows with what became of them.

    A column `a.b` becomes nested config; `instance_name` names the row and is not part of the config.
    The result has the control dataframe's rows, in order, plus `status`, `reason`, `duration_s` (seconds),
    `directory`, `error`, and saved results as `result.<name>`. `timeout` is in seconds for one instance.

    `on_error="raise"` runs all rows, then raises one `InstancesFailed` for the failed ones; `"continue"` does not
    raise; `"stop"` starts nothing new after the first failure, then raises. A row that another process is executing
    counts as failed. Rows are all validated before the first runs; `ConfigError` lists every problem.
    """
    if on_error not in ("raise", "continue", "stop"):
        raise ConfigError(f'on_error must be "raise", "continue" or "stop", not {on_error!r}')
    options = Options(force, timeout, export_html, workers=workers, stop=on_error == "stop")
    call = make_call(notebook_file, step_name, runs_dir, options)
    instances = instances_of(control_df, call)
    plans = make_plans(call, instances)
    remember_control(call.project.runs_dir, call.step, [instance.name for instance in instances])
    records = carry_out(call, plans, executor)
    from ductaflow_runtime.conductor.dataframe import outcome_frame

    frame = outcome_frame(control_df, [plan.reason for plan in plans], records)
    failed = [record for record in records if record.outcome is Outcome.FAILED]
    if failed and on_error != "continue":
        raise InstancesFailed(failed, frame)
    return frame


def plan_instances(
    control_df: pd.DataFrame,
    notebook_file: PathLike,
    *,
    step_name: str | None = None,
    force: bool = False,
    export_html: bool = False,
    runs_dir: PathLike | None = None,
) -> pd.DataFrame:
    """The rows plus `reason`: why `run_instances` would execute each (`None`: up to date). Runs nothing.

    A row that is being executed at this moment has the reason `running in another process`.
    """
    from ductaflow_runtime.conductor.dataframe import plan_frame

    call = make_call(notebook_file, step_name, runs_dir, Options(force, export_html=export_html))
    plans = make_plans(call, instances_of(control_df, call))
    return plan_frame(control_df, [plan.reason for plan in plans])


def carry_out(
    call: Call,
    plans: Sequence[Plan],
    executor: Executor | None = None,
    *,
    quiet: bool = False,
) -> list[Record]:
    """Execute what must be, refresh what only reads differently, skip the rest; one record a plan."""
    project, options = call.project, call.options
    if options.export_html:
        require_extra()
    stale = {index: plan for index, plan in enumerate(plans) if plan.reason}
    page = LivePage(project.runs_dir, project.root.name) if stale and not quiet else None
    sweep = Sweep(
        workers=options.workers,
        executor=executor,
        stop=options.stop,
        quiet=quiet,
        tick=page.tick if page else None,
    )
    around = project.git_state() if stale else {}
    jobs = {index: make_job(call, plan, sweep.threads, around) for index, plan in stale.items()}
    records = refresh_all(call, plans)
    if not quiet:
        refreshed = sum(record.outcome is Outcome.REFRESHED for record in records.values())
        print(announce(call.step, plans, refreshed), file=sys.stderr, flush=True)  # noqa: T201
    records.update(put_aside(jobs, plans, options.stop))
    try:
        records.update(sweep.run(jobs))
    finally:
        if page is not None:
            page.finish()
        elif stale:
            write_at_exit(project.runs_dir, project.root.name)
    return [records[index] for index in range(len(plans))]


def refresh_all(call: Call, plans: Sequence[Plan]) -> dict[int, Record]:
    """The records of those that need not run."""
    present = Present(call.project)
    return {
        index: refresh(plan, plan.record, present, call.options.export_html)
        for index, plan in enumerate(plans)
        if plan.record is not None and not plan.reason
    }


def put_aside(jobs: dict[int, Job], plans: Sequence[Plan], stop: bool) -> dict[int, Record]:
    """Take out the jobs that another process is doing, which count as failed; with `stop`, all others too."""
    busy = {index: InstanceBusyError(plan.busy) for index, plan in enumerate(plans) if plan.busy}
    aside = {index: without_record(jobs.pop(index), Outcome.FAILED, error) for index, error in busy.items()}
    if stop and busy:
        aside |= {index: without_record(jobs.pop(index), Outcome.NOT_RUN, None) for index in list(jobs)}
    return aside


def make_job(call: Call, plan: Plan, threads: int, around: dict[str, Any]) -> Job:
    """What a worker needs to know of one instance."""
    settings, instance = call.project.settings, plan.instance
    return Job(
        root=str(call.project.root),
        runs_dir=str(call.project.runs_dir),
        flow=str(instance.flow),
        step=instance.step,
        name=instance.name,
        config=instance.config,
        reason=plan.reason or "",
        timeout=call.options.timeout,
        export_html=call.options.export_html,
        show_code=settings.code,
        kernel_name=call.options.kernel_name,
        engine=settings.engine,
        preload=list(settings.preload) if settings.preload is not None else None,
        threads=threads,
        environment=dict(around),
    )

"""What the conductor calls. The whole way on one screen:

project -> instances -> plans -> `conduct` (refresh, jobs, sweep) -> the frame with what became of each row.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.conduct import conduct
from ductaflow_runtime.conductor.edited_meanwhile import EditedMeanwhile
from ductaflow_runtime.conductor.giving_up import OnError, Patience, patience_for
from ductaflow_runtime.conductor.head_start import begun_call
from ductaflow_runtime.conductor.interruption import told_interrupts
from ductaflow_runtime.conductor.keeping import Keeping
from ductaflow_runtime.conductor.kernel import Unwatched
from ductaflow_runtime.conductor.last_words import LastWords, tell_failures
from ductaflow_runtime.conductor.nothing_saved import NothingSaved
from ductaflow_runtime.conductor.observers import Announcement, Observer, PageAtExit, Retrying, SweepPage, Waiting
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call, Options, instance_of, instances_of, make_call, make_plans, truth
from ductaflow_runtime.conductor.progress import Progress
from ductaflow_runtime.conductor.rehearsal import beside_rehearsal, current_rehearsal
from ductaflow_runtime.conductor.resting import Resting
from ductaflow_runtime.conductor.sweep import Given, Sweep
from ductaflow_runtime.config.former_arguments import names_todays_arguments
from ductaflow_runtime.errors import FlowError, InstanceBusyError
from ductaflow_runtime.execution.context import aside
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.control import remember_control
from ductaflow_runtime.runs.owed import remember_owed
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import owed_by
from ductaflow_runtime.terminal import say

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd

    from ductaflow_runtime.config.values import Config

    PathLike = str | os.PathLike[str]


@names_todays_arguments
def run_notebook(
    notebook_file: PathLike,
    config: dict[str, Any] | None = None,
    *,
    instance_name: str | int | None = None,
    step_name: str | None = None,
    runs_dir: PathLike | None = None,
    force: bool = False,
    timeout: float | None = None,
    max_memory: str | int | None = None,
    export_html: bool = False,
    kernel_name: str | None = None,
    base_config: PathLike | dict[str, Any] | None = None,
    retries: int | None = None,
) -> Record:
    """Execute one instance of a flow, unless it is up to date, and give its record.

    `notebook_file` is relative to the working directory or the project root. The instance is named by
    `instance_name`, else the config's `"instance_name"`, else a digest of the config. `timeout` is in
    seconds, `max_memory` text such as `"2 GB"`, or bytes. `base_config`, a dict or a config file, is what several
    instances share: `config` is laid over it like a row, dotted keys reaching into it. `retries` is how often it is
    executed again, at once, when it fails. Raises `FlowError` when the flow fails, `ConfigError` or `FlowFileError`
    before anything runs, `InstanceBusyError` if another process executes the instance for longer than the project's
    setting `wait`.
    """
    options = Options(
        force=force,
        timeout=timeout,
        max_memory=max_memory,
        export_html=export_html,
        kernel_name=kernel_name,
        workers=1,
        retries=retries,
    )
    with begun_call(notebook_file, step_name, runs_dir, options, base_config, rows=1) as call:
        rehearsal = current_rehearsal()
        if rehearsal is not None:
            return rehearsal.one(call, lambda: instance_of(call, config, instance_name))  # type: ignore[no-any-return]
        return run_one(call, config, instance_name).as_record(call.project)


def run_one(call: Call, config: Config | None, instance_name: str | int | None) -> Outcome:
    """What became of one instance; raises like `run_notebook`."""
    instance = instance_of(call, config, instance_name)
    with told_interrupts(call.step) as interruption:
        with aside():
            (plan,) = make_plans(call, [instance], whole=True)
        if plan.busy and not call.options.wait:
            raise InstanceBusyError(plan.busy)
        keeping, edited, resting = Keeping(call.project), EditedMeanwhile(call), Resting(call, once=True)
        observers = [PageAtExit(call.project), Waiting(say), Retrying(say), unwatched(call)]
        (outcome,) = conduct(call, [plan], Sweep(1, [*observers, keeping, edited, resting, interruption], whole=True))
        if edited.line():
            say(edited.line())
    if outcome.status is Status.FAILED:
        failure = outcome.failure
        if failure is not None and failure.type == InstanceBusyError.__name__:
            raise InstanceBusyError(failure.message)
        raise FlowError(outcome.as_record(call.project))
    return outcome


@names_todays_arguments
def run_step_flow(
    notebook_file: PathLike,
    step_name: str,
    instance_name: str | int,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> Record:
    """`run_notebook` with step and instance named; it takes the same options."""
    return run_notebook(notebook_file, config, step_name=step_name, instance_name=instance_name, **options)


@names_todays_arguments
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
    max_memory: str | int | None = None,
    export_html: bool = False,
    runs_dir: PathLike | None = None,
    kernel_name: str | None = None,
    base_config: PathLike | dict[str, Any] | None = None,
    whole: bool = False,
    retries: int | None = None,
) -> pd.DataFrame:
    """Execute each row of a control dataframe that is not up to date; give the rows with what became of them.

    A column `a.b` becomes nested config; `instance_name` names the row and is not part of the config. `base_config`, a
    dict or a config file, is what all rows share: a row's values override it at any depth, a blank cell does not.
    The result has the control dataframe's rows, in order, plus `status`, `reason`, `duration_s` (seconds),
    `directory`, `error`, and saved results as `result.<name>`. `timeout` is in seconds for one instance,
    `max_memory` text such as `"2 GB"`, or bytes, for one instance with all its processes.
    `retries` is how often one that failed is executed again, at once, for failures that may pass.

    `on_error="raise"` runs all rows, then raises one `InstancesFailed` for the failed ones; `"continue"` does not
    raise; `"stop"` starts nothing new after the first failure, then raises; a number does so after so many equal
    failures in a row. `"raise"` gives up as well, after 20 equal failures in a row while no row is done. A row that
    another process is executing is waited for, then looked at again. `kernel_name` is the Jupyter kernel for all rows.
    They are all validated before the first runs; `ConfigError` lists every problem.

    `whole=True` says that these rows are all that the step has: instances whose row is gone are then told by
    `ductaflow status` and offered by `ductaflow prune`. Without, a call only adds rows to those known.
    """
    patience, whole = patience_for(on_error), truth("whole", whole)
    given = None if executor is None else Given.of(executor, workers)
    options = Options(
        force=force,
        timeout=timeout,
        max_memory=max_memory,
        export_html=export_html,
        kernel_name=kernel_name,
        workers=workers,
        elsewhere=executor is not None,
        retries=retries,
    )
    rows = len(control_df) if hasattr(control_df, "__len__") else 0
    with begun_call(notebook_file, step_name, runs_dir, options, base_config, rows=rows) as call:
        rehearsal = current_rehearsal()
        if rehearsal is not None:
            return rehearsal.rows(control_df, call)  # type: ignore[no-any-return]
        last = LastWords(call)
        with last.told():
            outcomes, frame = run_rows(call, control_df, given, patience, last, whole=whole)
            tell_failures(call, outcomes, frame, patience, on_error)
    return frame


def run_rows(
    call: Call, control_df: pd.DataFrame, given: Given | None, patience: Patience, last: LastWords, *, whole: bool
) -> tuple[list[Outcome], pd.DataFrame]:
    """What became of each row, and the frame that says so."""
    from ductaflow_runtime.conductor.dataframe import outcome_frame

    with told_interrupts(call.step) as interruption:
        instances = instances_of(control_df, call)
        with aside():
            plans = make_plans(call, instances)
            names = [one.name for one in instances]
            remember_control(call.project.runs_dir, call.step, names, whole=whole)
            remember_owed(call.project.runs_dir, call.step, names, owed_by(plans))
        observers = [*observers_of(call), *last.observers, interruption]
        outcomes = last.on(conduct(call, plans, Sweep(call.options.workers, observers, given, patience=patience)))
        return outcomes, outcome_frame(control_df, outcomes)


def observers_of(call: Call) -> list[Observer]:
    """Who is told of a sweep."""
    progress = Progress(call.project, call.step)
    return [
        SweepPage(call.project),
        Announcement(call.project, call.step),
        progress,
        Waiting(progress.say),
        Retrying(progress.say),
        unwatched(call),
        NothingSaved(call),
        Keeping(call.project),
    ]


def unwatched(call: Call) -> Observer:
    """Who says that a kernel has no ductaflow."""
    return Unwatched(call.code, call.options.kernel_name)


@names_todays_arguments
def plan_instances(
    control_df: pd.DataFrame,
    notebook_file: PathLike,
    *,
    step_name: str | None = None,
    force: bool = False,
    export_html: bool = False,
    runs_dir: PathLike | None = None,
    kernel_name: str | None = None,
    base_config: PathLike | dict[str, Any] | None = None,
) -> pd.DataFrame:
    """The rows plus `reason`: why `run_instances` would execute each (`None`: up to date). Runs nothing.

    Of a row that it would not execute because an earlier result fits, `reason` says that this is brought back.
    A row that is being executed at this moment has the reason `running in another process`.
    """
    from ductaflow_runtime.conductor.dataframe import plan_frame

    options = Options(force=force, export_html=export_html, kernel_name=kernel_name)
    with beside_rehearsal():
        call = make_call(notebook_file, step_name, Project.find(runs_dir), options, base_config)
    rehearsal = current_rehearsal()
    if rehearsal is not None:
        return plan_frame(control_df, rehearsal.reasons(control_df, call))
    plans = make_plans(call, instances_of(control_df, call))
    return plan_frame(control_df, [plan.told for plan in plans])

"""`ductaflow prune`: remove instances that have lost their row, or their flow, after asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ductaflow_runtime.cli.common import count, echo, known_step, local_time, some
from ductaflow_runtime.cli.report import renew_index
from ductaflow_runtime.errors import ConfigError, DuctaflowError
from ductaflow_runtime.project import Project

if TYPE_CHECKING:
    from ductaflow_runtime.staleness.prune import Removal


def add_to(group: click.Group) -> None:
    """Add the command of this module to the `ductaflow` command."""
    group.add_command(prune)


@click.command()
@click.argument("step")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(step: str, yes: bool) -> None:
    """Remove the instances of STEP that had a row once and are not among those that were said to be all.

    All are the rows of the last run_instances(..., whole=True), and those that later calls have added.
    Of a step whose flow is gone, such as one that has another name now, remove all instances.
    Lists the instances and asks. Deletes record, config, log, notebook and page, edited or not, and outputs
    that are as they were written. Edited outputs, and files that no execution wrote, stay.
    """
    from ductaflow_runtime.runs.control import forget_step
    from ductaflow_runtime.staleness.prune import plan_removal, without_flow

    project = Project.find()
    runs_dir = project.runs_dir
    known_step(runs_dir, step)
    flowless = without_flow(project, step)
    if flowless and yes:  # said before anybody could know that it is about all of them
        raise ConfigError(f"{_flow_gone(flowless)}; leave out --yes to be shown what there is of {step}, and asked")
    names, title = (list(flowless), _flow_gone(flowless)) if flowless else _rows_gone(runs_dir, step)
    removals = [plan_removal(runs_dir, step, name) for name in names]
    if removals:
        echo(f"{step}: {title}:")
    for one in removals:
        when = f"executed {local_time(one.record.started)}, " if one.record is not None else ""
        echo(f"  {step}/{one.instance.name}: {when}{_removal_text(one)}")
    doable = [one for one in removals if not one.obstacle and one.ours]
    if not doable:
        echo(f"{step}: nothing to remove")
        return
    if not yes:
        click.confirm(f"Remove {count(len(doable), 'instance')} from {runs_dir / step}?", abort=True)
    _remove_all(step, doable)
    if flowless:
        forget_step(runs_dir, step)
    renew_index(project)


def _flow_gone(flowless: Mapping[str, str]) -> str:
    flows = list(dict.fromkeys(flowless.values()))
    are = "is" if len(flows) == 1 else "are"
    return f"{some(flows)} {are} gone, so nothing executes these again as they were"


def _rows_gone(runs_dir: Path, step: str) -> tuple[list[str], str]:
    """The instances that have lost their row, and what they were held against; `ConfigError` if nobody knows."""
    from ductaflow_runtime.runs.control import last_control, not_in_control

    control = last_control(runs_dir, step)
    if control is None or not control.whole:
        raise ConfigError(
            f"nobody has said which rows of {step} are all, so none of its instances is known to have lost its row; "
            "give whole=True to the run_instances that has them all, and run it once"
        )
    rows = f"the {count(len(control.names), 'row')} that were said to be all ({local_time(control.at)})"
    return not_in_control(runs_dir, step), f"not among {rows}"


def _remove_all(step: str, removals: Sequence[Removal]) -> None:
    from ductaflow_runtime.staleness.prune import remove

    removed = 0
    for one in removals:
        try:
            remove(one)
        except DuctaflowError as error:
            echo(f"{step}/{one.instance.name}: left alone ({error})")
        else:
            removed += 1
    echo(f"{step}: removed {count(removed, 'instance')}")


def _removal_text(one: Removal) -> str:
    if one.obstacle:
        return f"left alone ({one.obstacle})"
    if not one.foreign:
        return f"{count(len(one.ours), 'file')}, the whole folder"
    return f"{count(len(one.ours), 'file')}; not written by an execution, so they stay: {some(one.foreign)}"

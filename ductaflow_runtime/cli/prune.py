"""`ductaflow prune`: remove instances that have lost their row, after asking."""

from __future__ import annotations

from collections.abc import Sequence
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
    Lists the instances and asks. Deletes record, config, log, notebook and page, edited or not, and outputs
    that are as they were written. Edited outputs, and files that no execution wrote, stay.
    """
    from ductaflow_runtime.runs.control import last_control, not_in_control
    from ductaflow_runtime.staleness.prune import plan_removal

    project = Project.find()
    runs_dir = project.runs_dir
    known_step(runs_dir, step)
    control = last_control(runs_dir, step)
    if control is None or not control.whole:
        raise ConfigError(
            f"nobody has said which rows of {step} are all, so none of its instances is known to have lost its row; "
            "give whole=True to the run_instances that has them all, and run it once"
        )
    removals = [plan_removal(runs_dir, step, name) for name in not_in_control(runs_dir, step)]
    rows = f"the {count(len(control.names), 'row')} that were said to be all ({local_time(control.at)})"
    if removals:
        echo(f"{step}: not among {rows}:")
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
    renew_index(project)


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

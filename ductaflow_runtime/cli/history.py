"""`ductaflow log` and `restore`: the past executions of an instance, and one of them brought back."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ductaflow_runtime.cli.common import count, echo, known_step, local_time
from ductaflow_runtime.cli.report import renew_index
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.project import Project, places_of
from ductaflow_runtime.runs.states import STATES, Status

if TYPE_CHECKING:
    from ductaflow_runtime.runs.instance import Instance
    from ductaflow_runtime.runs.kept import Keep
    from ductaflow_runtime.runs.record import Record

_MOST = 6
_LONGEST = 100


def add_to(group: click.Group) -> None:
    """Add the commands of this module to the `ductaflow` command."""
    group.add_command(log)
    group.add_command(restore)


@click.command()
@click.argument("instance")
def log(instance: str) -> None:
    """List the past executions of INSTANCE (STEP/NAME) whose results are still there, newest first.

    Each with its number for `ductaflow restore`, how it ended, why it was executed, its results, and what was other
    than in the one before it.
    """
    one = _instance_at(Project.find(), instance)
    records = _history_of(one)
    echo(f"{one.step}/{one.name}: {count(len(records), 'execution')}, newest first; * is the one in {one.directory}")
    for number, record in enumerate(records, start=1):
        for line in _told(one, number, record, records[number : number + 1]):
            echo(line)


@click.command()
@click.argument("instance")
@click.argument("which", metavar="NUMBER|TIME")
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(instance: str, which: str, yes: bool) -> None:
    """Bring an earlier result of INSTANCE (STEP/NAME) back into its folder.

    NUMBER and TIME are those that `ductaflow log` shows. What is there now becomes an earlier result, if it is one. The
    result is then what it is: up to date or not, as `ductaflow status` says.
    """
    from ductaflow_runtime.runs.bring_back import bring_back
    from ductaflow_runtime.runs.folder import make_folders
    from ductaflow_runtime.runs.kept import keep_of
    from ductaflow_runtime.runs.lock import locked
    from ductaflow_runtime.runs.look import look

    project = Project.find()
    one = _instance_at(project, instance)
    record = _chosen(one, _history_of(one), which)
    keep = keep_of(project)
    if not yes:
        click.confirm(f"Bring back the result of {local_time(record.started)}? {_fate(one, keep)}", abort=True)
    make_folders(one.directory)
    with locked(one.directory) as free:
        if not free or look(one.directory, own=True).state is Status.RUNNING:
            raise ConfigError(f"{one.directory} is being written by another process at this moment; try again later")
        bring_back(one, record, keep)
    echo(f"{one.step}/{one.name}: the result of {local_time(record.started)} is back{_staleness_of(project, one)}")
    renew_index(project)


def _fate(one: Instance, keep: Keep) -> str:
    """What becomes of what is there now."""
    from ductaflow_runtime.runs.kept import may_be_kept
    from ductaflow_runtime.runs.look import look

    state = look(one.directory).state
    if state is Status.DONE and may_be_kept(one, one.directory, keep):
        return "The one that is there now is kept as an earlier one."
    if state is Status.DONE and keep.results:
        return "The one that is there now is deleted, larger than keep_size allows; copy it before to have both."
    return f"What is there now ({state}) is deleted, but for files that somebody has edited."


def _staleness_of(project: Project, one: Instance) -> str:
    from ductaflow_runtime.staleness.inventory import examine
    from ductaflow_runtime.staleness.present import Present

    (found,) = examine(Present(project), one.step, [one.name])
    return ", up to date" if found.reason is None else f", not up to date: {found.reason}"


def _instance_at(project: Project, given: str) -> Instance:
    """The instance that `STEP/NAME`, or the path of its folder, names; `ConfigError` names what there is."""
    from pathlib import Path

    from ductaflow_runtime.runs.instance import Instance, check_name, list_instances

    places = [place for place in places_of(given, project.root) if place.parent.parent == project.runs_dir]
    parts = places[0].parts[-2:] if places else tuple(given.strip("/").split("/"))
    if len(parts) != 2:
        raise ConfigError(f"{given!r} names no instance; give STEP/NAME, or the path of its folder")
    step, name = parts
    one = Instance(Path(), known_step(project.runs_dir, step), check_name(name), {}, project.runs_dir)
    if not _records_of(one) and not os.path.isdir(one.directory):
        there = list_instances(project.runs_dir, step)
        near = " or ".join(difflib.get_close_matches(name, there)) or ", ".join(there[:_MOST])
        raise ConfigError(f"no instance {name} of {step} in {project.runs_dir}; is {near or 'nothing'} meant?")
    return one


def _records_of(one: Instance) -> list[Record]:
    from ductaflow_runtime.staleness.history import history

    return history(one)


def _history_of(one: Instance) -> list[Record]:
    records = _records_of(one)
    if not records:
        raise ConfigError(f"{one.directory} holds no record, and no earlier result of {one.step}/{one.name} is kept")
    return records


def _chosen(one: Instance, records: Sequence[Record], which: str) -> Record:
    """The execution of a number or a time; `ConfigError` if there is none, or its result is there."""
    if which.isdecimal() and 0 < int(which) <= len(records):
        found = [records[int(which) - 1]]
    else:
        times = [(record.started or "", local_time(record.started)) for record in records]
        found = [record for record, told in zip(records, times, strict=True) if any(t.startswith(which) for t in told)]
    if len(found) != 1:
        several = "several executions have" if found else "no execution has"
        raise ConfigError(f"{several} the number or time {which!r}; ductaflow log {one.step}/{one.name} shows them")
    (record,) = found
    if record.directory == one.directory:
        raise ConfigError(f"the result of {local_time(record.started)} is the one that is in {one.directory}")
    return record


def _told(one: Instance, number: int, record: Record, before: Sequence[Record]) -> Iterator[str]:
    from ductaflow_runtime.staleness.history import changes_between

    here = "*" if record.directory == one.directory else " "
    took = "" if record.duration_s is None else f" after {record.duration_s:.4g} s"
    ending = STATES[record.status].ending or str(record.status)
    cause = "" if record.error is None else f": {_short(record.error.headline)}"
    yield f"{here} {number}  {local_time(record.started)}  {ending}{took}{cause}"
    yield f"       executed because: {_short(record.reason or 'not known')}"
    if record.brought_back is not None and here == "*":
        yield f"       brought back: {local_time(record.brought_back)}"
    results = [f"{name} = {value!r}" for name, value in (record.results or {}).items()]
    if results:
        yield f"       results: {_few(results)}"
    for older in before:
        changes = changes_between(older, record)
        yield f"       other than in {number + 1}: {_few(changes) if changes else 'nothing'}"


def _few(parts: Sequence[str]) -> str:
    more = f"; and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
    return "; ".join(map(_short, parts[:_MOST])) + more


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."

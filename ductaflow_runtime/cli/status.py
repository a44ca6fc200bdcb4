"""`ductaflow status`, `accept` and `prune`: what is up to date, and what to do about it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ductaflow_runtime.errors import ConfigError, DuctaflowError
from ductaflow_runtime.runs.failure import UNKNOWN

if TYPE_CHECKING:
    from rich.console import Console

    from ductaflow_runtime.staleness.inventory import Found, Removal
    from ductaflow_runtime.staleness.why_stale import Present

_MOST_NAMES = 5
_MOST_LINES = 20
_SLOWEST = 3


def add_to(group: click.Group) -> None:
    """Add the commands of this module to the `ductaflow` command."""
    for command in (status, accept, prune):
        group.add_command(command)


@click.command()
@click.argument("step", required=False)
def status(step: str | None) -> None:
    """Show what has run, what failed, and what is no longer up to date, of STEP or of all steps."""
    from ductaflow_runtime.runs.instance import list_steps
    from ductaflow_runtime.staleness.inventory import examine, last_control, not_in_control

    present = _present()
    steps = list_steps(present.project.runs_dir) if step is None else [_known_step(present, step)]
    if not steps:
        click.echo(f"nothing has run yet: there is no step in {present.project.runs_dir}")
        return
    found = {each: examine(present, each) for each in steps}
    gone = {each: not_in_control(present.project.runs_dir, each) for each in steps}
    known = {each: last_control(present.project.runs_dir, each) is not None for each in steps}
    everything = [one for each in steps for one in found[each]]
    console = _console()
    _show_counts(console, found, {each: str(len(gone[each])) if known[each] else "?" for each in steps})
    if not all(known.values()):
        click.echo("?  not known: no run_instances has said which instances of this step there should be")
    _show_list(console, "Failures", _grouped((failure_text(one), one) for one in _in(everything, "failed")))
    _show_list(console, "Interrupted", [one.address for one in _in(everything, "interrupted")])
    damaged = [f"{one.address}: {one.reason}" for one in _in(everything, "damaged")]
    _show_list(console, "Damaged records", damaged)
    stale = [(one.reason, one) for one in _in(everything, "done") if one.reason]
    _show_list(console, "No longer up to date", _grouped(stale))
    absent = [f"{each}/{name}" for each in steps for name in gone[each]]
    _show_list(console, "Not in the last control dataframe (ductaflow prune STEP removes them, after asking)", absent)
    _show_list(console, "Slowest", _slowest(everything))


@click.command()
@click.argument("step")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def accept(step: str, names: tuple[str, ...]) -> None:
    """Declare instances of STEP up to date as things are now, without executing them.

    For after a review: the record says since when. Without NAME, all that are done but not up to date. A
    config that has changed in the control dataframe cannot be accepted; that instance executes.
    """
    from ductaflow_runtime.runs.instance import check_name
    from ductaflow_runtime.staleness import inventory as states

    present = _present()
    _known_step(present, step)
    chosen = states.examine(present, step, [check_name(name) for name in names] or None)
    if names:
        states.check_acceptable(chosen)
    else:
        chosen = [one for one in chosen if one.state == "done"]
        states.check_acceptable(chosen)
    for one in chosen:
        if one.reason is None:
            click.echo(f"{one.address}: up to date, nothing to accept")
            continue
        try:
            states.accept(one, present)
            click.echo(f"{one.address}: accepted ({one.reason})")
        except DuctaflowError as error:
            click.echo(f"{one.address}: left as it is ({error})")
    if not chosen:
        click.echo(f"{step}: no instance is done, nothing to accept")


@click.command()
@click.argument("step")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(step: str, yes: bool) -> None:
    """Remove the instances of STEP that an earlier control dataframe named and the last one does not.

    The last one is the one that run_instances was given last, be it whole or a part: run the whole one before.
    Lists the instances and asks. Deletes record, config, log, notebook and page, edited or not, and outputs
    that are as they were written. Edited outputs, and files that no execution wrote, stay.
    """
    from ductaflow_runtime.staleness import inventory as states

    present = _present()
    _known_step(present, step)
    control = states.last_control(present.project.runs_dir, step)
    if control is None:
        raise ConfigError(f"the last control dataframe of {step} is not known; run its conductor once")
    gone = states.not_in_control(present.project.runs_dir, step)
    removals = [states.plan_removal(present.project.runs_dir, step, name) for name in gone]
    rows = f"the {_count(len(control.names), 'row')} of the control dataframe that ran last ({_local(control.at)})"
    if removals:
        click.echo(f"{step}: not among {rows}:")
    for one in removals:
        when = f"executed {_local(one.record.started)}, " if one.record is not None else ""
        click.echo(f"  {step}/{one.instance.name}: {when}{_removal_text(one)}")
    doable = [one for one in removals if not one.obstacle and one.ours]
    if not doable:
        click.echo(f"{step}: nothing to remove")
        return
    if not yes:
        click.echo("If those were only a part of your rows, answer no and run the whole control dataframe first.")
        click.confirm(f"Remove {_count(len(doable), 'instance')} from {present.project.runs_dir / step}?", abort=True)
    _remove_all(step, doable)


def _remove_all(step: str, removals: Sequence[Removal]) -> None:
    from ductaflow_runtime.staleness import inventory as states

    removed = 0
    for one in removals:
        try:
            states.remove(one)
        except DuctaflowError as error:
            click.echo(f"{step}/{one.instance.name}: left alone ({error})")
        else:
            removed += 1
    click.echo(f"{step}: removed {_count(removed, 'instance')}")


def failure_text(one: Found) -> str:
    """What a failed instance is grouped by: type, first line of the message, cell."""
    error = one.record.error if one.record is not None else None
    if error is None:
        return UNKNOWN
    first = replace(error, message=next(iter(error.message.splitlines()), ""))
    return first.cause + (f" in cell {error.cell}" if error.cell else "")


def _present() -> Present:
    from ductaflow_runtime.project import Project
    from ductaflow_runtime.staleness.why_stale import Present

    return Present(Project.find())


def _known_step(present: Present, step: str) -> str:
    from ductaflow_runtime.runs.instance import check_name, list_steps

    steps = list_steps(present.project.runs_dir)
    if check_name(step, "step name") not in steps:
        there = f"there are {', '.join(steps)}" if steps else "nothing has run yet"
        raise ConfigError(f"no step {step} in {present.project.runs_dir}; {there}")
    return step


def _console() -> Console:
    """The terminal; elsewhere plain lines of any length."""
    import sys

    from rich.console import Console

    width = None if sys.stdout.isatty() else 1000
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def _show_counts(console: Console, found: dict[str, list[Found]], absent: dict[str, str]) -> None:
    from rich.table import Table

    states = ["done", "failed", "interrupted", "running", "damaged"]
    table = Table("step", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (*states, "not up to date", "not in control"):
        table.add_column(title, justify="right")
    for step, instances in found.items():
        counts = Counter(str(one.state) for one in instances)
        stale = sum(one.state == "done" and one.reason is not None for one in instances)
        table.add_row(step, *(str(counts[state]) for state in states), str(stale), absent[step])
    with console.capture() as written:
        console.print(table)
    for line in written.get().splitlines():
        click.echo(line.rstrip())


def _show_list(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(f"\n{title}", style="bold", soft_wrap=True)
    for line in lines[:_MOST_LINES]:
        shown = line.encode("utf-8", "backslashreplace").decode()  # an error may hold half a character
        console.print(f"  {shown}", soft_wrap=True)
    if len(lines) > _MOST_LINES:
        console.print(f"  and {len(lines) - _MOST_LINES} more", soft_wrap=True)


def _in(found: Iterable[Found], state: str) -> list[Found]:
    return [one for one in found if one.state == state]


def _grouped(told: Iterable[tuple[str | None, Found]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for text, one in told:
        groups.setdefault(text or "", []).append(one.address)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    width = max((len(str(len(names))) for names in groups.values()), default=0)
    return [f"{len(names):>{width}}  {text}  ({_some(names)})" for text, names in ordered]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _slowest(found: Iterable[Found]) -> list[str]:
    timed = [(one.record.duration_s or 0.0, one.address) for one in found if one.record is not None]
    slow = sorted(timed, reverse=True)[:_SLOWEST]
    return [f"{seconds:>8.1f} s  {address}" for seconds, address in slow]


def _removal_text(one: Removal) -> str:
    if one.obstacle:
        return f"left alone ({one.obstacle})"
    if not one.foreign:
        return f"{_count(len(one.ours), 'file')}, the whole folder"
    return f"{_count(len(one.ours), 'file')}; not written by an execution, so they stay: {_some(one.foreign)}"


def _local(time: object) -> str:
    """A stored time on the reader's clock, to the minute."""
    try:
        return f"{datetime.datetime.fromisoformat(str(time)).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return "at an unknown time"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

"""`ductaflow status`: what has run, what failed, what is no longer up to date."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ductaflow_runtime.cli.common import count, echo, find_present, known_step, local_time, some
from ductaflow_runtime.errors import DuctaflowError, shown
from ductaflow_runtime.flow.code import FLOW
from ductaflow_runtime.runs.failure import UNKNOWN
from ductaflow_runtime.runs.states import COUNTED, Status

if TYPE_CHECKING:
    from rich.console import Console

    from ductaflow_runtime.runs.failure import Failure
    from ductaflow_runtime.staleness.inventory import Found
    from ductaflow_runtime.staleness.present import Present

_MOST_LINES = 20
_SLOWEST = 3


def add_to(group: click.Group) -> None:
    """Add the commands of this module to the `ductaflow` command."""
    group.add_command(status)


@click.command()
@click.argument("step", required=False)
def status(step: str | None) -> None:
    """Show what has run, what failed, and what is no longer up to date, of STEP or of all steps."""
    from ductaflow_runtime.runs.control import is_whole, not_in_control, without_folder
    from ductaflow_runtime.runs.instance import list_steps
    from ductaflow_runtime.staleness.inventory import examine
    from ductaflow_runtime.staleness.upstream import rest_on

    present = find_present()
    runs_dir = present.project.runs_dir
    steps = list_steps(runs_dir) if step is None else [known_step(runs_dir, step)]
    if not steps:
        echo(f"nothing has run yet: there is no step in {runs_dir}")
        return
    everything = rest_on([one for each in steps for one in examine(present, each)], present)
    found = {each: [one for one in everything if one.instance.step == each] for each in steps}
    gone = {each: not_in_control(runs_dir, each) for each in steps}
    known = {each: is_whole(runs_dir, each) for each in steps}
    to_come = {each: without_folder(runs_dir, each) for each in steps}
    console = _console()
    warned = {each: [one for one in found[each] if _has_warned(one)] for each in steps}
    absent = {each: str(len(gone[each])) if known[each] else "?" for each in steps}
    more = {"with warnings": _numbers(warned), "without a row": absent if any(known.values()) else {}}
    _show_counts(console, found, more | {"without a folder": _numbers(to_come)})
    if any(known.values()) and not all(known.values()):
        echo("?  not known: no run_instances(..., whole=True) has said which rows of this step are all")
    _show_list(console, "Flows that cannot be executed as they are now", _broken_flows(everything, present))
    _show_list(console, "Failures", _grouped(_failures(_in(everything, Status.FAILED))))
    _show_list(console, "Interrupted", [one.address for one in _in(everything, Status.INTERRUPTED)])
    damaged = [f"{one.address}: {one.reason}" for one in _in(everything, Status.DAMAGED)]
    _show_list(console, "Damaged records", damaged)
    stale = [one for one in _in(everything, Status.DONE) if one.stale]
    _show_list(console, "No longer up to date", _grouped(_named_if_alone(stale)))
    back = [(one.back.told, one) for one in everything if one.back is not None]
    _show_list(console, "Not executed again, for an earlier result fits (the conductor brings it back)", _grouped(back))
    accepted = [one for one in everything if one.record is not None and one.record.accepted is not None]
    _show_list(console, "Accepted without being executed", _grouped((_acceptance(one), one) for one in accepted))
    _show_list(console, "With warnings", _grouped((_warnings(one), one) for each in steps for one in warned[each]))
    rowless = [f"{each}/{name}" for each in steps for name in gone[each]]
    _show_list(console, "Without a row (ductaflow prune STEP removes them, after asking)", rowless)
    coming = [f"{each}/{name}" for each in steps for name in to_come[each]]
    _show_list(console, "Rows without a folder (the conductor executes them)", coming)
    _show_list(console, "Slowest", _slowest(everything))


def _console() -> Console:
    """The terminal; elsewhere plain lines of any length."""
    import sys

    from rich.console import Console

    width = None if sys.stdout.isatty() else 1000
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def _has_warned(one: Found) -> bool:
    return one.state is Status.DONE and one.record is not None and bool(one.record.warnings)


def _warnings(one: Found) -> str:
    return count(one.record.warnings or 0 if one.record is not None else 0, "warning")


def _numbers(told: Mapping[str, Sequence[object]]) -> dict[str, str]:
    """How many there are in each step; nothing if there are none at all."""
    return {step: str(len(those)) for step, those in told.items()} if any(told.values()) else {}


def _show_counts(console: Console, found: dict[str, list[Found]], more: dict[str, dict[str, str]]) -> None:
    """The table of counts; of `more`, the columns that say something."""
    from rich.table import Table

    more = {title: numbers for title, numbers in more.items() if numbers}
    table = Table("step", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (*COUNTED, "not up to date", *more):
        table.add_column(title, justify="right")
    for step, instances in found.items():
        counts = Counter(one.state for one in instances)
        stale = sum(one.state is Status.DONE and one.stale is not None for one in instances)
        added = [numbers[step] for numbers in more.values()]
        table.add_row(step, *(str(counts[state]) for state in COUNTED), str(stale), *added)
    with console.capture() as written:
        console.print(table)
    for line in written.get().splitlines():
        echo(line.rstrip())


def _show_list(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(f"\n{title}", style="bold", soft_wrap=True)
    for line in lines[:_MOST_LINES]:
        console.print(f"  {shown(line)}", soft_wrap=True)
    if len(lines) > _MOST_LINES:
        console.print(f"  and {len(lines) - _MOST_LINES} more", soft_wrap=True)


def _failures(failed: Sequence[Found]) -> list[tuple[str, Found]]:
    """Each with its cause, in which numbers give way where those of others like it differ."""
    errors = [one.record.error if one.record is not None else None for one in failed]
    headlines: dict[str, set[str]] = {}
    for error in errors:
        if error is not None:
            headlines.setdefault(error.kind, set()).add(error.headline)
    told = [_in_common(error, headlines) for error in errors]
    return list(zip(told, failed, strict=True))


def _in_common(error: Failure | None, headlines: Mapping[str, set[str]]) -> str:
    if error is None:
        return UNKNOWN
    return error.headline if len(headlines[error.kind]) == 1 else error.kind


def _broken_flows(found: Sequence[Found], present: Present) -> list[str]:
    """What is no Python in each flow of the instances, once for all of them."""
    lines = []
    for flow in dict.fromkeys(one.instance.flow for one in found):
        with contextlib.suppress(DuctaflowError):  # one that is gone or cannot be read is its instances' reason
            code = present.code(flow)
            name = present.name_of(flow)
            lines += [text.replace(FLOW, name, 1) for text in code.broken if code.kernel is None]
    return lines


def _acceptance(one: Found) -> str:
    """When somebody declared it up to date, and what had changed, if that is known."""
    record = one.record
    if record is None:
        return ""
    although = f", although: {record.accepted_reason}" if record.accepted_reason else ""
    return f"{local_time(record.accepted)}{although}"


def _in(found: Iterable[Found], state: Status) -> list[Found]:
    return [one for one in found if one.state is state]


def _named_if_alone(stale: Sequence[Found]) -> list[tuple[str | None, Found]]:
    """Each with its cause, which names what it has read where no other has the like."""
    kinds = Counter(one.kind for one in stale)
    return [(one.stale if kinds[one.kind] == 1 else one.kind, one) for one in stale]


def _grouped(told: Iterable[tuple[str | None, Found]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for text, one in told:
        groups.setdefault(text or "", []).append(one.address)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    width = max((len(str(len(names))) for names in groups.values()), default=0)
    return [f"{len(names):>{width}}  {text}  ({some(names)})" for text, names in ordered]


def _slowest(found: Iterable[Found]) -> list[str]:
    timed = [(one.record.duration_s or 0.0, one.address) for one in found if one.record is not None]
    slow = sorted(timed, reverse=True)[:_SLOWEST]
    return [f"{seconds:>8.1f} s  {address}" for seconds, address in slow]

"""`ductaflow accept`: declare instances up to date as things are now."""

from __future__ import annotations

import click

from ductaflow_runtime.cli.common import count, echo, find_present, known_step
from ductaflow_runtime.cli.report import renew_index
from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.runs.states import Status


def add_to(group: click.Group) -> None:
    """Add the command of this module to the `ductaflow` command."""
    group.add_command(accept)


@click.command()
@click.argument("step")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def accept(step: str, names: tuple[str, ...]) -> None:
    """Declare instances of STEP up to date as things are now, without executing them.

    For after a review: the record says since when. Without NAME, all that are done but not up to date. A
    config that has changed in the control dataframe cannot be accepted; that instance executes.
    """
    from ductaflow_runtime.runs.instance import check_name
    from ductaflow_runtime.staleness import accept as acceptance
    from ductaflow_runtime.staleness.inventory import examine

    present = find_present()
    known_step(present.project.runs_dir, step)
    chosen = examine(present, step, [check_name(name) for name in names] or None)
    if not names:
        chosen = [one for one in chosen if one.state is Status.DONE]
    acceptance.check_acceptable(chosen)
    accepted = left = 0
    for one in chosen:
        if one.reason is None:
            echo(f"{one.address}: up to date, nothing to accept")
            continue
        try:
            acceptance.accept(one, present)
            echo(f"{one.address}: accepted ({one.reason})")
            accepted += 1
        except DuctaflowError as error:
            echo(f"{one.address}: left as it is ({error})")
            left += 1
    if accepted or left:
        renew_index(present.project)
    if not chosen:
        echo(f"{step}: no instance is done, nothing to accept")
    elif accepted or left:
        echo(_summary(step, accepted, left, len(chosen) - accepted - left))


def _summary(step: str, accepted: int, left: int, idle: int) -> str:
    parts = [f"{count(accepted, 'instance')} accepted without being executed"]
    parts += [f"{left} left as they are"] * bool(left) + [f"{idle} up to date before"] * bool(idle)
    return f"{step}: {', '.join(parts)}; ductaflow status lists what was accepted"

"""What is on disk, seen from now: which instances are still up to date, and which are not. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.runs.instance import Instance, list_instances
from ductaflow_runtime.runs.look import Seen, look, stored_config
from ductaflow_runtime.runs.owed import Owed, owed_rows
from ductaflow_runtime.runs.record import FILE_NAME, Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import decide, mark_of
from ductaflow_runtime.staleness.earlier import Back
from ductaflow_runtime.staleness.present import Present


@dataclass(frozen=True)
class Above:
    """What an instance has read that is not up to date: in words, and in those that others like it share.

    `rowless` are the steps of those that only have no row any more, if no other are among them.
    """

    text: str
    kind: str
    rowless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """An instance's folder: its state now, and why it would execute (`None`: it would not).

    `state` is a status of records, `damaged` (then `reason` says what is wrong with the record), or `new`.
    `above` says which results it has read that are not up to date themselves, where somebody has looked (`rest_on`).
    `back`: it would not execute, for an earlier result fits, which would be brought back.
    """

    instance: Instance
    record: Record | None
    state: Status
    reason: str | None
    above: Above | None = None
    back: Back | None = None

    @property
    def stale(self) -> str | None:
        """Why its results are not up to date, by its own change or else by one further up (`None`: they are)."""
        return self.reason or (self.above.text if self.above else None)

    @property
    def kind(self) -> str | None:
        """The same, without the name of the one instance that it has read."""
        return self.reason or (self.above.kind if self.above else None)

    @property
    def address(self) -> str:
        """`step/instance_name`."""
        return f"{self.instance.step}/{self.instance.name}"


def examine(
    present: Present, step: str, names: Sequence[str] | None = None, *, seen: Mapping[str, Seen] | None = None
) -> list[Found]:
    """The instances of a step, each against the present code, modules, inputs and packages.

    `seen` is what a look at them has shown, by name, where somebody has looked.
    """
    chosen = list_instances(present.project.runs_dir, step) if names is None else names
    owed = owed_rows(present.project.runs_dir, step)
    found = [_still_owed(_examine_one(present, step, name, (seen or {}).get(name)), owed) for name in chosen]
    return [one for one in found if names is not None or one.state != Status.NEW]


def _still_owed(found: Found, owed: Owed) -> Found:
    """With the reason why a sweep was to execute it, if that has not come to it and nothing else makes it stale."""
    mark, reason = owed.get(found.instance.name, ("", ""))
    if found.reason is not None or not reason or mark != mark_of(found.record):
        return found
    return replace(found, reason=f"not begun: {reason}")


def _examine_one(present: Present, step: str, name: str, seen: Seen | None) -> Found:
    nowhere = Instance(Path(), step, name, {}, present.project.runs_dir)
    seen = seen or look(nowhere.directory)
    if seen.record is None and not seen.damage and seen.state is not Status.RUNNING:
        return Found(nowhere, None, seen.state, f"no {FILE_NAME}")
    try:
        plan = decide(_instance_of(seen, nowhere, present), present, seen, earlier=bool(present.project.settings.keep))
    except DuctaflowError as error:  # the flow is gone or unreadable: no run would give these results
        return Found(nowhere, seen.record, seen.state, str(error))
    reason = plan.reason if plan.back is None else plan.back.otherwise
    return Found(plan.instance, seen.record, seen.state, reason, back=plan.back)


def _instance_of(seen: Seen, nowhere: Instance, present: Present) -> Instance:
    """The instance as its record tells of it; without one that has ended, only where it is."""
    record = seen.record
    if record is None or seen.state is Status.RUNNING:
        return nowhere
    config = record.fingerprint.config if record.fingerprint is not None else None
    if config is None:
        config = stored_config(record.directory)
    return replace(nowhere, flow=Path(present.project.absolute(record.flow or "")), config=config)

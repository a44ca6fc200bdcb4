"""What is on disk, seen from now: which instances are still up to date, which are not, and which nobody asks for.

It decides nothing itself: `why_stale` does. `accept` and `prune` are the two things to do about it.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.config import read_config
from ductaflow_runtime.errors import ConfigError, DuctaflowError, InstanceBusyError
from ductaflow_runtime.files import FileState, relative_to_root, stat_file, write_atomically
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.artifacts import NO_FILE, previous_folder, snapshot_of
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.fingerprint import Fingerprint
from ductaflow_runtime.runs.instance import CONFIG_NAME, Instance, list_instances, written_by_runtime
from ductaflow_runtime.runs.record import FILE_NAME, Record, now, read_record, write_record
from ductaflow_runtime.runs.state import locked, look
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.fingerprint import fingerprint_now
from ductaflow_runtime.staleness.tracking import describe_input
from ductaflow_runtime.staleness.why_stale import Present, why_stale


@dataclass(frozen=True)
class Found:
    """An instance's folder: its state now, and why it is not up to date (`None`: it is).

    `state` is a status of records, `damaged` (then `reason` says what is wrong with the record), or `new`.
    """

    instance: Instance
    record: Record | None
    state: Status
    reason: str | None

    @property
    def address(self) -> str:
        """`step/instance_name`."""
        return f"{self.instance.step}/{self.instance.name}"


@dataclass(frozen=True)
class Control:
    """A note of what sweeps asked for: the names in the last control dataframe, its time, and all names so far."""

    names: list[str]
    at: str
    ever: list[str]


def remember_control(runs_dir: Path, step: str, names: Sequence[str]) -> None:
    """Note which instances a control dataframe asks for; a run does not fail for want of this note."""
    known = last_control(runs_dir, step)
    there = set(list_instances(runs_dir, step))
    before = [name for name in known.ever if name in there] if known is not None else []
    note = {"names": list(names), "at": now(), "ever": list(dict.fromkeys([*before, *names]))}
    path = _control_file(runs_dir, step)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(note, ensure_ascii=False))


def last_control(runs_dir: Path, step: str) -> Control | None:
    """The note of the step's last control dataframe; `None` if no sweep has left one."""
    try:
        known = Control(**json.loads(_control_file(runs_dir, step).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return known if isinstance(known.names, list) and isinstance(known.ever, list) else None


def _control_file(runs_dir: Path, step: str) -> Path:
    return runs_dir / HIDDEN / "control" / f"{step}.json"


def not_in_control(runs_dir: Path, step: str) -> list[str]:
    """The instances on disk that an earlier control dataframe named and the last one does not.

    One that no control dataframe ever named (made by `run_notebook`, a command or a script) has no row to lose.
    """
    known = last_control(runs_dir, step)
    return [] if known is None else sorted(set(list_instances(runs_dir, step)) & set(known.ever) - set(known.names))


def examine(present: Present, step: str, names: Sequence[str] | None = None) -> list[Found]:
    """The instances of a step, each against the present code, modules, inputs and packages."""
    chosen = list_instances(present.project.runs_dir, step) if names is None else names
    found = [_examine_one(present, step, name) for name in chosen]
    return [one for one in found if names is not None or one.state != Status.NEW]


def _examine_one(present: Present, step: str, name: str) -> Found:
    nowhere = Instance(Path(), step, name, {}, present.project.runs_dir)
    seen = look(nowhere.directory)
    if seen.state == Status.RUNNING:
        return Found(nowhere, seen.record, seen.state, None)
    if seen.record is None:
        return Found(nowhere, None, seen.state, f"record damaged: {seen.damage}" if seen.damage else f"no {FILE_NAME}")
    try:
        instance = _instance_of(seen.record, step, name, present)
        return Found(instance, seen.record, seen.state, why_stale(instance, seen.record, present))
    except DuctaflowError as error:  # the flow is gone or unreadable: no run would give these results
        return Found(nowhere, seen.record, seen.state, str(error))


def _instance_of(record: Record, step: str, name: str, present: Present) -> Instance:
    config = record.fingerprint.config if record.fingerprint is not None else None
    if config is None:
        config = read_config(record.directory / CONFIG_NAME)
    flow = Path(present.project.absolute(record.flow or ""))
    return Instance(flow, step, name, config, present.project.runs_dir)


def check_acceptable(found: Iterable[Found]) -> None:
    """Raise one `ConfigError` for all instances whose present state cannot be declared up to date."""
    problems = [f"{one.address}: {problem}" for one in found if (problem := _obstacle(one))]
    if problems:
        raise ConfigError("only instances that are done, and whose flow is there, can be accepted:", problems)


def _obstacle(found: Found) -> str | None:
    if found.state == Status.NEW:
        missing = found.instance
        there = list_instances(missing.runs_dir, missing.step)
        near = " or ".join(difflib.get_close_matches(missing.name, there))
        return "no such instance; " + (f"did you mean {near}?" if near else f"there are {', '.join(there[:5])}")
    if found.state != Status.DONE:
        return found.state
    return None if found.instance.flow.is_file() else found.reason


@contextlib.contextmanager
def held(directory: Path, known: Record) -> Iterator[Record]:
    """Hold an instance that is still as `known` says, and give its record; `InstanceBusyError` if it is not."""
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(f"{directory} is being written by another process at this moment; try again later")
        record = read_record(directory)
        if record is None or (record.started, record.accepted) != (known.started, known.accepted):
            raise InstanceBusyError(f"{directory} has been written by another process meanwhile; look at it again")
        yield record


def accept(found: Found, present: Present) -> Record:
    """Declare an instance up to date as things are now; its record says since when."""
    assert found.record is not None
    with held(found.instance.directory, found.record) as record:
        record = record.but(
            fingerprint=fingerprint_now(found.instance, record.fingerprint or Fingerprint(), present),
            outputs=_present_outputs(record),
            accepted=now(),
        )
        write_record(record)
    return record


def _present_outputs(record: Record) -> dict[str, FileState]:
    contents = Contents()
    outputs: dict[str, FileState] = {}
    for name in record.outputs or {}:
        path = str(record.directory / name)
        stat = stat_file(path)
        if stat is not None:
            outputs[name] = describe_input(path, stat, contents)
    return outputs


@dataclass(frozen=True)
class Removal:
    """What pruning would do to one instance: files that executions wrote, and those that it leaves."""

    instance: Instance
    record: Record | None
    ours: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    obstacle: str | None = None


def plan_removal(runs_dir: Path, step: str, name: str) -> Removal:
    """Tell the files that executions wrote from those that somebody else put there, and from edited outputs."""
    instance = Instance(Path(), step, name, {}, runs_dir)
    seen = look(instance.directory)
    record = seen.record
    if seen.state == Status.RUNNING:
        return Removal(instance, record, obstacle="it is being executed at this moment")
    if record is None:
        damage = f"record damaged: {seen.damage}" if seen.damage else f"no {FILE_NAME}"
        return Removal(instance, record, obstacle=f"{damage}, so nobody knows whose files these are")
    contents, own, links = Contents(), written_by_runtime(record.flow_stem), record.links or ()
    ours: list[str] = []
    foreign: list[str] = []
    for folder, folders, names in os.walk(instance.directory):
        for path in (os.path.join(folder, each) for each in (*names, *folders)):
            there, short = snapshot_of(path), relative_to_root(path, instance.directory)
            if there is not None:
                stored = (record.outputs or {}).get(short)
                as_written = short in links if there == NO_FILE else stored and contents.is_same(path, stored)
                (ours if short in own or as_written else foreign).append(short)
    return Removal(instance, record, tuple(sorted(ours)), tuple(sorted(foreign)))


def remove(removal: Removal) -> None:
    """Delete the files that executions wrote, the record last, and the folders that this leaves empty."""
    directory = removal.instance.directory
    assert removal.record is not None
    with held(directory, removal.record):
        for name in sorted(removal.ours, key=lambda name: name == FILE_NAME):
            (directory / name).unlink(missing_ok=True)
        for folder, _, _ in os.walk(directory, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    shutil.rmtree(previous_folder(removal.instance), ignore_errors=True)

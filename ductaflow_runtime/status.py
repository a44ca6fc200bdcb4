"""What is on disk, seen from now: which instances are still up to date, which are not, and which nobody asks for.

It decides nothing itself: `why_stale` does. `accept` and `prune` are the two things to do about it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ductaflow_runtime.config import read_config, texts_in
from ductaflow_runtime.content import Contents, hash_names, stat_file
from ductaflow_runtime.errors import ConfigError, DuctaflowError, InstanceBusyError
from ductaflow_runtime.instance import (
    CONFIG_NAME,
    HIDDEN,
    Instance,
    is_alive,
    list_instances,
    locked,
    written_by_runtime,
)
from ductaflow_runtime.ledger import previous_folder
from ductaflow_runtime.project import relative_to_root
from ductaflow_runtime.record import FILE_NAME, Record, Status, now, write_atomically, write_record
from ductaflow_runtime.staleness import Present, last_record, why_stale
from ductaflow_runtime.tracking import Tracker, describe_input

DAMAGED = "damaged"


@dataclass(frozen=True)
class Found:
    """An instance's folder: its state now, and why it is not up to date (`None`: it is).

    `state` is a status of records, or `damaged`; then `reason` says what is wrong with the record.
    """

    instance: Instance
    record: Record | None
    state: str
    reason: str | None

    @property
    def address(self) -> str:
        """`step/instance_name`."""
        return f"{self.instance.step}/{self.instance.name}"


def remember_control(runs_dir: Path, step: str, names: Iterable[str]) -> None:
    """Note which instances a control dataframe asked for; a run does not fail for want of this note."""
    path = _control_file(runs_dir, step)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(list(names), ensure_ascii=False))


def last_control(runs_dir: Path, step: str) -> list[str] | None:
    """The instances in the step's last control dataframe; `None` if no sweep has left a note."""
    try:
        names = json.loads(_control_file(runs_dir, step).read_bytes())
    except (OSError, ValueError):
        return None
    return names if isinstance(names, list) else None


def _control_file(runs_dir: Path, step: str) -> Path:
    return runs_dir / HIDDEN / "control" / f"{step}.json"


def not_in_control(runs_dir: Path, step: str) -> list[str]:
    """The instances on disk that the last control dataframe does not name."""
    names = last_control(runs_dir, step)
    return [] if names is None else sorted(set(list_instances(runs_dir, step)) - set(names))


def examine(present: Present, step: str, names: Sequence[str] | None = None) -> list[Found]:
    """The instances of a step, each against the present code, modules, inputs and packages."""
    found = list_instances(present.runs_dir, step) if names is None else names
    return [_examine_one(present, step, name) for name in found]


def _examine_one(present: Present, step: str, name: str) -> Found:
    nowhere = Instance(Path(), step, name, {}, present.runs_dir)
    record, damage = last_record(nowhere)
    if record is None:
        return Found(nowhere, None, DAMAGED, damage or f"no {FILE_NAME}")
    if is_alive(record):
        return Found(nowhere, record, str(Status.RUNNING), None)
    state = Status.INTERRUPTED if record.status is Status.RUNNING else record.status
    try:
        instance = _instance_of(record, step, name, present)
        return Found(instance, record, str(state), why_stale(instance, record, present))
    except DuctaflowError as error:  # the flow is gone or unreadable: no run would give these results
        return Found(nowhere, record, str(state), str(error))


def _instance_of(record: Record, step: str, name: str, present: Present) -> Instance:
    config = (record.fingerprint or {}).get("config")
    if config is None:
        config = read_config(record.directory / CONFIG_NAME)
    flow = Path(present.absolute(record.flow or ""))
    return Instance(flow, step, name, config, present.runs_dir)


def check_acceptable(found: Iterable[Found]) -> None:
    """Raise one `ConfigError` for all instances whose present state cannot be declared up to date."""
    problems = [f"{one.address}: {one.state}" for one in found if one.state != Status.DONE]
    problems += [
        f"{one.address}: {one.reason}" for one in found if one.state == Status.DONE and not one.instance.flow.is_file()
    ]
    if problems:
        raise ConfigError("only instances that are done, and whose flow is there, can be accepted:", problems)


def accept(found: Found, present: Present) -> Record:
    """Declare an instance up to date as things are now; its record says since when."""
    assert found.record is not None
    with locked(found.instance.directory) as free:
        if not free:
            raise InstanceBusyError(f"{found.address} is being executed by another process at this moment")
        record = found.record.but(
            fingerprint=_present_fingerprint(found.instance, found.record, present),
            outputs=_present_outputs(found.record),
            accepted=now(),
        )
        write_record(record)
    return record


def _present_fingerprint(instance: Instance, record: Record, present: Present) -> dict[str, Any]:
    was, code = record.fingerprint or {}, present.code(instance.flow)
    named = Tracker(root=str(present.root), own=str(instance.directory))
    named.name_all([*code.literals, *texts_in(instance.config)])
    inputs = {relative_to_root(path, present.root): {} for path in named.files} | (was.get("inputs") or {})
    inputs.pop(record.flow, None)
    modules = {path: _describe(present, path) for path in was.get("modules") or {}}
    return {
        "config": instance.config,
        "code": code.fingerprint(),
        "modules": {path: there for path, there in modules.items() if "missing" not in there},
        "inputs": {
            path: {"names": hash_names(present.absolute(path))} if "names" in old else _describe(present, path)
            for path, old in sorted(inputs.items())
        },
        "packages": {
            name: version for name in was.get("packages") or {} if (version := present.version(name)) is not None
        },
    }


def _describe(present: Present, path: str) -> dict[str, Any]:
    where = present.absolute(path)
    return describe_input(where, stat_file(where), present.contents)


def _present_outputs(record: Record) -> dict[str, dict[str, Any]]:
    contents, outputs = Contents(), {}
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
    ours: tuple[str, ...]
    foreign: tuple[str, ...]
    obstacle: str | None = None


def plan_removal(runs_dir: Path, step: str, name: str) -> Removal:
    """Tell an instance's own files from those that somebody else put there or has edited; reads only."""
    instance = Instance(Path(), step, name, {}, runs_dir)
    record, damage = last_record(instance)
    if record is None:
        return Removal(instance, (), (), damage or f"no {FILE_NAME}, so nobody knows whose files these are")
    if is_alive(record):
        return Removal(instance, (), (), "it is being executed at this moment")
    contents, own = Contents(), written_by_runtime(record.flow_stem)
    ours: list[str] = []
    foreign: list[str] = []
    for folder, _, names in os.walk(instance.directory):
        for each in names:
            path = os.path.join(folder, each)
            short = relative_to_root(path, instance.directory)
            stored = (record.outputs or {}).get(short)
            is_ours = short in own or (stored is not None and contents.is_same(path, stored))
            (ours if is_ours else foreign).append(short)
    return Removal(instance, tuple(sorted(ours)), tuple(sorted(foreign)))


def remove(removal: Removal) -> None:
    """Delete the files that executions wrote, the record last, and the folders that this leaves empty."""
    directory = removal.instance.directory
    with locked(directory) as free:
        if not free:
            raise InstanceBusyError(f"{directory} is being written by another process at this moment")
        for name in sorted(removal.ours, key=lambda name: name == FILE_NAME):
            (directory / name).unlink(missing_ok=True)
        for folder, _, _ in os.walk(directory, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    shutil.rmtree(previous_folder(removal.instance), ignore_errors=True)

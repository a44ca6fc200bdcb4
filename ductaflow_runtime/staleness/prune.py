"""Remove instances that have lost their row, and never a file that no execution of theirs wrote."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.runs.artifacts import NO_FILE, previous_folder, snapshot_of
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.instance import Instance, written_by_runtime
from ductaflow_runtime.runs.record import FILE_NAME, Record
from ductaflow_runtime.runs.state import held, look
from ductaflow_runtime.runs.states import Status


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

"""Remove instances that have lost their row, and never a file that no execution of theirs wrote."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.artifacts import NO_FILE, snapshot_of
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.folder import open_folder
from ductaflow_runtime.runs.instance import Instance, list_instances, written_by_runtime
from ductaflow_runtime.runs.kept import drop_all
from ductaflow_runtime.runs.look import held, look
from ductaflow_runtime.runs.previous import drop_previous
from ductaflow_runtime.runs.record import FILE_NAME, Record
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
    if seen.state is Status.RUNNING:
        return Removal(instance, record, obstacle="it is being executed at this moment")
    if record is None:
        damage = f"record damaged: {seen.damage}" if seen.damage else f"no {FILE_NAME}"
        return Removal(instance, record, obstacle=f"{damage}, so nobody knows whose files these are")
    contents = Contents()
    files = dict(_files_in(instance.directory))
    ours = {each for each, path in files.items() if _is_ours(each, path, record, contents)}
    return Removal(instance, record, tuple(sorted(ours)), tuple(sorted(files.keys() - ours)))


def without_flow(project: Project, step: str) -> dict[str, str]:
    """The instances of a step whose flow's file is gone, as a renamed step leaves them, and that file.

    None while one of the step's instances has a flow that is there: such a step goes on under its name.
    """
    gone: dict[str, str] = {}
    for name in list_instances(project.runs_dir, step):
        record = look(project.runs_dir / step / name).record
        if record is None or not record.flow:
            continue
        if os.path.lexists(project.absolute(record.flow)):
            return {}
        gone[name] = record.flow
    return gone


def _files_in(directory: Path) -> Iterator[tuple[str, str]]:
    """All that is not a folder, at any depth: its path seen from `directory`, and its absolute one."""
    for folder, folders, names in os.walk(directory):
        for path in (os.path.join(folder, each) for each in (*names, *folders)):
            if snapshot_of(path) is not None:
                yield relative_to_root(path, directory), path


def _is_ours(name: str, path: str, record: Record, contents: Contents) -> bool:
    """Whether an execution wrote a file, and nobody has edited it since if it is an output."""
    if name in written_by_runtime(record.flow_stem) or name in record.attempt_logs:
        return True
    if snapshot_of(path) == NO_FILE:
        return name in (record.links or ())
    stored = (record.outputs or {}).get(name)
    return stored is not None and contents.is_same(path, stored)


def remove(removal: Removal) -> None:
    """Delete the files that executions wrote, the record last, and the folders that this leaves empty.

    What has been edited since it was looked at stays.
    """
    instance = removal.instance
    assert removal.record is not None
    with held(instance.directory, removal.record) as record, open_folder(instance.directory) as folder:
        contents = Contents()
        for name in sorted(removal.ours, key=lambda name: name == FILE_NAME):
            if _is_ours(name, os.path.join(instance.directory, name), record, contents):
                folder.remove(name)
        for path, _, _ in os.walk(instance.directory, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        drop_previous(instance, ())
        drop_all(instance)

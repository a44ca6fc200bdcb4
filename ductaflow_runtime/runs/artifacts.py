"""The files in an instance's folder: whose they are, and how a re-run gets a clean one.

What the previous execution wrote is set aside; what somebody else put there is never touched.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.config import border as configs
from ductaflow_runtime.files import FileState, hash_file, relative_to_root, stat_file
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.instance import Instance, written_by_runtime
from ductaflow_runtime.runs.record import FILE_NAME, PREVIOUS, Record, write_record
from ductaflow_runtime.runs.states import Status

# Path -> (size, time) of what was there at a moment.
Snapshot = dict[str, tuple[int, int]]
NO_FILE = (-1, -1)


def previous_folder(instance: Instance) -> Path:
    """Where the last good results are kept while a new execution has not succeeded."""
    return instance.runs_dir / PREVIOUS / _address(instance)


def kept_folder(instance: Instance) -> Path:
    """Where outputs go that somebody has edited since: the runtime never deletes them."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return instance.runs_dir / HIDDEN / "edited" / _address(instance) / stamp


def _address(instance: Instance) -> Path:
    if instance.folder is None:
        return Path(instance.step, instance.name)
    return Path("elsewhere", configs.digest({"folder": str(instance.folder)}))


def set_aside(instance: Instance, before: Record, running: Record) -> None:
    """Move away what the previous execution wrote; keep it if it was good, drop it if it was not.

    The `running` record, which still lists the files, comes first: broken off at any point, the next
    execution finds a record that says interrupted and knows whose files these are.
    """
    keep = previous_folder(instance) if before.status is Status.DONE else None
    if keep is not None:
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(instance.directory / FILE_NAME, keep / FILE_NAME)
    write_record(running)
    for name, to in _ways_out(instance, before, keep):
        remove_file(instance.directory, name, to)


def _ways_out(instance: Instance, before: Record, keep: Path | None) -> Iterator[tuple[str, Path | None]]:
    """Each file that the previous execution wrote, and the folder that it goes to; `None` is for good."""
    for name in sorted(written_by_runtime(before.flow_stem) - {FILE_NAME}):
        yield name, keep
    contents, edited = Contents(), kept_folder(instance)
    for name, stored in (before.outputs or {}).items():
        path = os.path.join(instance.directory, name)
        is_edited = keep is not None and contents.stat(path) is not None and not contents.is_same(path, stored)
        yield name, edited if is_edited else keep
    for name in before.links or ():
        if snapshot_of(os.path.join(instance.directory, name)) == NO_FILE:
            yield name, None


def remove_file(directory: Path, name: str, to: Path | None) -> None:
    """Take a file out of an instance's folder, to the same place under `to` or for good."""
    source = directory / name
    if not source.is_symlink() and not source.exists():
        return
    if to is None:
        source.unlink()
    else:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    for folder in source.parents:
        if folder == directory:
            break
        with contextlib.suppress(OSError):
            folder.rmdir()


def clear_folders(directory: Path) -> None:
    """Folders that hold nothing: what is left of an execution that made them before its files."""
    for folder, _, _ in os.walk(directory, topdown=False):
        if folder != os.fspath(directory):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def snapshot(directory: Path, flow_stem: str) -> Snapshot:
    """What is in an instance folder and not the runtime's: path -> (size, time)."""
    found: Snapshot = {}
    own = written_by_runtime(flow_stem)
    temporary = tuple(f".{name}." for name in own)
    for folder, folders, names in os.walk(directory):
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            relative = relative_to_root(path, directory)
            if relative in own or (relative.startswith(temporary) and relative.endswith(".tmp")):
                continue
            seen = snapshot_of(path)
            if seen is not None:
                found[relative] = seen
    return found


def snapshot_of(path: str) -> tuple[int, int] | None:
    """Size and time of a file; `NO_FILE` for a link that leads to none, a pipe, a socket; `None` for a folder."""
    stat = stat_file(path)
    if stat is not None:
        return stat.size, stat.mtime_ns
    return NO_FILE if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)) else None


def describe_files(directory: Path, files: Snapshot) -> dict[str, FileState]:
    """The `outputs` of a record: path -> `{size, sha256, mtime_ns}`."""
    outputs: dict[str, FileState] = {}
    for name, (size, mtime_ns) in files.items():
        with contextlib.suppress(OSError):  # gone again: a process of the flow is still cleaning up
            outputs[name] = {"size": size, "sha256": hash_file(directory / name), "mtime_ns": mtime_ns}
    return outputs

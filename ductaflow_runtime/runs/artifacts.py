"""The files in an instance's folder: whose they are.

What an execution wrote is its own; what somebody else put there is never touched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterable
from pathlib import Path

from ductaflow_runtime.files import FileState, hash_file, is_device, is_recent, relative_to_root, stat_file
from ductaflow_runtime.runs.instance import written_by_runtime

# Path -> (size, time) of what was there at a moment.
Snapshot = dict[str, tuple[int, int]]
NO_FILE = (-1, -1)


def clear_halves(directory: Path, flow_stem: str) -> None:
    """Files of the runtime's own that an execution was broken off at writing."""
    temporary = _temporary(written_by_runtime(flow_stem))
    for name in os.listdir(directory):
        if name.startswith(temporary) and name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, name))


def clear_folders(directory: Path) -> None:
    """Folders that hold nothing: what is left of an execution that made them before its files."""
    for folder, _, _ in os.walk(directory, topdown=False):
        if folder != os.fspath(directory):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _temporary(own: Iterable[str]) -> tuple[str, ...]:
    return tuple(f".{name}." for name in own)


def snapshot(directory: Path, flow_stem: str) -> Snapshot:
    """What is in an instance folder and not the runtime's: path -> (size, time)."""
    found: Snapshot = {}
    own = written_by_runtime(flow_stem)
    temporary = _temporary(own)
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
    """Size and time of a file; `NO_FILE` for a link to none or to a device, a pipe, a socket; `None` for a folder."""
    stat = stat_file(path)
    if stat is not None and not (os.path.islink(path) and is_device(os.path.realpath(path))):
        return stat.size, stat.mtime_ns
    return NO_FILE if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)) else None


def describe_files(directory: Path, files: Snapshot, seen: Container[str]) -> dict[str, FileState]:
    """The `outputs` of a record: path -> `{size, sha256, mtime_ns}`; `unseen`: the flow was not `seen` to write it."""
    outputs: dict[str, FileState] = {}
    for name, (size, mtime_ns) in files.items():
        if (size, mtime_ns) == NO_FILE:
            continue
        with contextlib.suppress(OSError):  # gone again: a process of the flow is still cleaning up
            # Where times are whole seconds, one does not tell two texts apart.
            reliable = None if mtime_ns % 1_000_000_000 == 0 and is_recent(mtime_ns) else mtime_ns
            outputs[name] = {"size": size, "sha256": hash_file(directory / name), "mtime_ns": reliable}
            if not is_made(name, seen):
                outputs[name]["unseen"] = True
    return outputs


def is_made(name: str, seen: Container[str]) -> bool:
    """Whether the flow was seen to write a file, or to put a folder there that it lies in."""
    parts = name.split("/")
    return any("/".join(parts[:number]) in seen for number in range(len(parts), 0, -1))

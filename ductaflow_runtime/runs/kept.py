"""Good results that later executions of the same instance have replaced: kept for a while, each of them whole.

They lie in `runs/.ductaflow/kept/{step}/{instance}/`, each in a folder that gets its name in one step: when its
execution began, and its size in bytes. When there are too many, or they are too large together, the oldest go first.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from ductaflow_runtime.config import values as configs
from ductaflow_runtime.errors import ProjectError, RecordError
from ductaflow_runtime.files import read_regular, write_atomically
from ductaflow_runtime.project import HIDDEN, Project
from ductaflow_runtime.runs.folder import Folder, open_below
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import PREVIOUS, read_record
from ductaflow_runtime.runs.times import stamp_of

KEPT = Path(HIDDEN, "kept")
_DROPPED = Path(HIDDEN, "dropped")  # each for a moment, under a name of its own
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-(\d+)", re.ASCII)
_SINCE = ".since"  # only what began at this time or later is taken without being asked for


@dataclass(frozen=True)
class Keep:
    """How many earlier results of an instance are kept, and how many bytes of them there may be in a project."""

    results: int = 0
    size: int = 0


def keep_of(project: Project) -> Keep:
    """What a project's settings say."""
    return Keep(project.settings.keep, project.settings.bytes_kept)


@dataclass(frozen=True, order=True)
class Kept:
    """One earlier result: when its execution began, as the name of its folder has it, and its size in bytes."""

    stamp: str
    size: int
    folder: Path


def address(instance: Instance) -> Path:
    """Where an instance's things lie in a hidden folder that has some of every instance."""
    if instance.folder is None:
        return Path(instance.step, instance.name)
    return Path("elsewhere", configs.digest({"folder": str(instance.folder)}))


def previous_of(instance: Instance) -> Path:
    """Where the last good results are while no execution since has succeeded."""
    return instance.runs_dir / PREVIOUS / address(instance)


def kept_results(instance: Instance) -> list[Kept]:
    """The earlier results of an instance, newest first."""
    return sorted(_results_in(instance.runs_dir / KEPT / address(instance)), reverse=True)


def all_kept(runs_dir: Path) -> list[Kept]:
    """The earlier results of all instances, newest first."""
    steps = _folders_in(runs_dir / KEPT)
    return sorted((kept for step in steps for one in _folders_in(step) for kept in _results_in(one)), reverse=True)


def may_be_kept(instance: Instance, folder: Path, keep: Keep) -> bool:
    """Whether the result in a folder can be among the earlier ones of an instance."""
    return keep.results > 0 and instance.folder is None and _size_of(folder) <= keep.size


def keep_result(instance: Instance, place: Folder, name: str, keep: Keep) -> bool:
    """Move a whole result, the folder `name` in `place`, to those that are kept, if it may be; the oldest make room.

    False: it is where it was. Nothing fails for want of an earlier result.
    """
    if not may_be_kept(instance, place.path / name, keep):
        return False
    size = _size_of(place.path / name)
    with contextlib.suppress(OSError, ProjectError, RecordError):
        record = read_record(place.path / name)
        stamp = None if record is None else stamp_of(record.started)
        if not stamp:
            return False
        with open_below(instance.runs_dir, KEPT / address(instance), make=True) as target:
            assert target is not None
            _make_room(instance, target, Keep(keep.results - 1, keep.size - size), stamp)
            place.move_to_as(name, target, f"{stamp}-{size}")
            return True
    return False


def drop(folder: Path) -> None:
    """Delete the earlier result in a folder; what cannot be deleted stays."""
    runs_dir = folder.parents[len(KEPT.parts) + 2]
    with contextlib.suppress(OSError, ProjectError), open_below(runs_dir, folder.parent.relative_to(runs_dir)) as place:
        if place is not None:
            _drop(runs_dir, place, folder.name)


def drop_all(instance: Instance) -> None:
    """Delete all earlier results of an instance."""
    inside = KEPT / address(instance)
    if os.path.isdir(instance.runs_dir / inside):
        with open_below(instance.runs_dir, inside.parent) as place:
            if place is not None:
                _drop(instance.runs_dir, place, inside.name)


def drop_everything(runs_dir: Path) -> None:
    """Delete the earlier results of all instances; what cannot be deleted stays."""
    if os.path.isdir(runs_dir / KEPT):
        with contextlib.suppress(OSError, ProjectError), open_below(runs_dir, KEPT.parent) as hidden:
            if hidden is not None:
                _drop(runs_dir, hidden, KEPT.name)


def drop_oldest(kept: Sequence[Kept], most: int) -> list[Kept]:
    """Of some results, newest first, delete the oldest that exceed so many bytes together; gives the others."""
    left, size = [], 0
    for one in kept:
        size += one.size
        if size <= most:
            left.append(one)
        else:
            drop(one.folder)
    return left


def distrust(instance: Instance, started: str, *, make: bool) -> None:
    """Somebody wants the instance computed anew: no result from before is taken without being asked for.

    `make`: also where none is kept yet, for the last one will be.
    """
    inside = KEPT / address(instance)
    if not make and not os.path.isdir(instance.runs_dir / inside):
        return
    with contextlib.suppress(OSError, ProjectError), open_below(instance.runs_dir, inside, make=True) as place:
        assert place is not None
        write_atomically(place.path / _SINCE, f"{stamp_of(started)}\n")


def is_trusted(instance: Instance, stamp: str) -> bool:
    """Whether nobody has wanted the instance computed anew since the execution of this stamp began."""
    try:
        since = read_regular(instance.runs_dir / KEPT / address(instance) / _SINCE)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return since.decode("ascii", "replace").strip() <= stamp


def clear_dropped(runs_dir: Path) -> None:
    """Delete what was being deleted when a process was killed."""
    if not os.path.isdir(runs_dir / _DROPPED):
        return
    with contextlib.suppress(OSError, ProjectError), open_below(runs_dir, _DROPPED) as dropped:
        assert dropped is not None
        for name in os.listdir(dropped.path):
            with contextlib.suppress(OSError):  # another process is at it
                dropped.remove_tree(name)


def _drop(runs_dir: Path, place: Folder, name: str) -> None:
    """Delete a folder in `place`, which is not to be seen half deleted."""
    with open_below(runs_dir, _DROPPED, make=True) as dropped:
        assert dropped is not None
        unique = uuid.uuid4().hex
        place.move_to_as(name, dropped, unique)
        dropped.remove_tree(unique)


def _make_room(instance: Instance, target: Folder, keep: Keep, stamp: str) -> None:
    """Delete the oldest, as many as must go, and what was left of the same one when bringing it back was broken off."""
    kept = kept_results(instance)
    left = [one for one in kept if one.stamp != stamp][: keep.results]
    sizes = accumulate(one.size for one in left)
    stay = {one for one, size in zip(left, sizes, strict=True) if size <= keep.size}
    for one in kept:
        with contextlib.suppress(OSError):  # whoever sees to the size of all may be faster
            if one not in stay:
                _drop(instance.runs_dir, target, one.folder.name)


def _results_in(place: Path) -> list[Kept]:
    found = []
    for path in _folders_in(place):
        name = _NAME.fullmatch(path.name)
        if name is not None:
            found.append(Kept(name[1], int(name[2]), path))
    return found


def _folders_in(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder, at any depth."""
    size = 0
    for above, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(above, name)).st_size
    return size

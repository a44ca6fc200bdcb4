"""How the results of the last execution make room for the next one, and what is kept of them.

The last good results are whole in one place at every moment: in the instance's folder until they have, all of them, a
second place in `runs/.ductaflow/previous/`; there until the next good ones are durable, and then among those that are
kept for a while, if any are (`kept`). Broken off anywhere, the next execution takes up from what it finds. What
somebody has edited, and what nobody saw the flow write, is never deleted.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ductaflow_runtime.errors import ProjectError, RecordError
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.artifacts import NO_FILE, snapshot, snapshot_of
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.folder import Folder, open_below, open_folder
from ductaflow_runtime.runs.instance import CONFIG_NAME, TABLES, Instance, written_by_runtime
from ductaflow_runtime.runs.kept import Keep, address, keep_result
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.runs.record import FILE_NAME, PREVIOUS, Record, read_record, write_record
from ductaflow_runtime.runs.states import Status

_EDITED = Path(HIDDEN, "edited")
_MOST_ASKED = 200
_NONE = Keep()


def set_aside(instance: Instance, before: Record, running: Record, keep: Keep = _NONE) -> None:
    """Clear away what the previous execution wrote; keep it if it was good.

    The `running` record still lists the files: broken off from there on, the next execution knows whose they are.
    """
    good = before.status is Status.DONE
    with open_folder(instance.directory) as folder, Edited(instance) as edited:
        ours = [*written_by_runtime(before.flow_stem), *(before.outputs or {}), *before.attempt_logs]
        changed = set(_edited_in(folder, before))
        unseen = {name for name, stored in (before.outputs or {}).items() if stored.get("unseen") and not good}
        partial = set(_left_by_killed(before)).difference(ours)
        for name in sorted(changed | unseen | partial):
            edited.save(folder, name)
        if good:
            _keep(instance, folder, [name for name in ours if name not in changed], edited, keep)
        elif before.status is Status.RUNNING and before.outputs is not None and before.brought_back is None:
            _complete(instance, folder, [name for name in ours if name not in changed and name != FILE_NAME])
        write_record(running)
        _keep_log(folder, before, running, edited)
        _remove(folder, {*ours, *partial} - {FILE_NAME, *running.attempt_logs}, before)


def end_setting_aside(running: Record) -> None:
    """Clear away the rest of what an execution was broken off at clearing away: all that is kept has its place."""
    with open_folder(running.directory) as folder:
        names = {*written_by_runtime(running.flow_stem), *(running.outputs or {})}
        _remove(folder, names - {FILE_NAME, *running.attempt_logs}, running)


def _remove(folder: Folder, names: set[str], listed: Record) -> None:
    for name in sorted(names):
        folder.remove(name)
    for name in listed.links or ():
        if snapshot_of(os.path.join(folder.path, name)) == NO_FILE:
            folder.remove(name)


def _left_by_killed(before: Record) -> list[str]:
    """What has come since an execution began that nobody was left to see the end of: not only it may have made that."""
    if before.status is not Status.RUNNING or before.outputs is not None or before.foreign is None:
        return []
    return sorted(snapshot(before.directory, before.flow_stem).keys() - set(before.foreign))


def _keep_log(folder: Folder, before: Record, running: Record, edited: Edited) -> None:
    """Give the log of the attempt that has just failed the name under which `running` lists it."""
    if running.attempt_logs and folder.kind(before.log.name) == stat.S_IFREG:
        name = running.attempt_logs[-1]
        if name not in before.attempt_logs:
            edited.save(folder, name)  # somebody else's
        folder.rename(before.log.name, name)


def former_result_names(directories: Iterable[Path]) -> list[str]:
    """The results of the first of some instances whose last execution, or the last good one before it, saved any."""
    for directory in islice(directories, _MOST_ASKED):
        with contextlib.suppress(RecordError):
            record = read_record(directory)
            if record is not None and record.previous is not None:
                record = read_record(record.previous)
            if record is not None and record.status is Status.DONE and record.results:
                return list(record.results)
    return []


def make_way(instance: Instance, flow_stem: str) -> None:
    """Move away what would be overwritten, of which nobody knows who wrote it: nothing is deleted."""
    with open_folder(instance.directory) as folder, Edited(instance) as edited:
        own = [name for name in written_by_runtime(flow_stem) - {FILE_NAME, CONFIG_NAME} if folder.has(name)]
        # What has executed here may have saved tables, which the next execution must not find.
        tables = [name for name in snapshot(folder.path, flow_stem) if own and name.startswith(f"{TABLES}/")]
        for name in [*own, *tables]:
            edited.save(folder, name)
            folder.remove(name)


def drop_previous(instance: Instance, written: Container[str], keep: Keep = _NONE) -> None:
    """The results from before are the last good ones no more: keep them among the earlier ones, or delete them.

    What nobody saw written stays, unless it was `written` again.
    """
    with _previous(instance) as (place, name), Edited(instance) as edited:
        if place is not None:
            _retire(instance, place, name, written, edited, keep)
            for left in (f".{name}.new", f".{name}.old"):  # of one that was killed meanwhile
                place.remove_tree(left)


def drop_outlived(instances: Sequence[Instance], keep: Keep) -> None:
    """As after an execution, of results that are good: who wrote these was killed before he came to that.

    The instances are those of one step that are up to date.
    """
    if not instances:
        return
    try:
        kept = os.listdir(instances[0].runs_dir / PREVIOUS / instances[0].step)
    except OSError:
        return
    names = {*kept, *(name[1:-4] for name in kept if name.endswith((".old", ".new")))}
    for instance in (one for one in instances if one.name in names):
        with contextlib.suppress(OSError, RecordError, ProjectError), locked(instance.directory) as free:
            record = read_record(instance.directory) if free else None
            if record is not None and record.status is Status.DONE:
                drop_previous(instance, record.outputs or {}, keep)


class Edited:
    """Where files go that the runtime never deletes: one folder of its own for each time, made when it is needed."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._stack = contextlib.ExitStack()
        self._folder: Folder | None = None

    def __enter__(self) -> Edited:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def save(self, source: Folder, name: str) -> None:
        """Give a file a place there, before it is removed where it is."""
        if source.holds(name):
            source.copy_to(name, self._place())

    def move(self, source: Folder, name: str) -> None:
        """Move what lies directly in a folder there, whatever it is; raises `ProjectError` if it cannot be."""
        if source.kind(name) != stat.S_IFDIR:
            self.save(source, name)
            source.remove(name)
            return
        try:
            source.move_to(name, self._place())
        except OSError as error:
            where = source.path / name
            raise ProjectError(f"{where} is a folder, where a file belongs; move it away ({error.strerror})") from None

    def _place(self) -> Folder:
        if self._folder is None:
            self._folder = self._make()
        return self._folder

    def _make(self) -> Folder:
        base = self._instance.runs_dir
        base.mkdir(parents=True, exist_ok=True)
        above = self._stack.enter_context(open_below(base, _EDITED / address(self._instance), make=True))
        assert above is not None
        while True:
            stamp = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%fZ}"
            if not above.has(stamp):
                above.make(stamp)
                return self._stack.enter_context(above.enter(stamp))


def _edited_in(folder: Folder, before: Record) -> Iterator[str]:
    """The outputs that do not hold any more what the execution left."""
    contents = Contents()
    for name, stored in (before.outputs or {}).items():
        path = os.path.join(folder.path, name)
        if contents.stat(path) is not None and not contents.is_same(path, stored):
            yield name


def _keep(instance: Instance, folder: Folder, names: Iterable[str], edited: Edited, keep: Keep) -> None:
    """Give good results a second place, all of them at once."""
    with _previous(instance, make=True) as (place, name):
        assert place is not None
        new = f".{name}.new"
        place.remove_tree(new)
        place.make(new)
        with place.enter(new) as target:
            for each in names:
                folder.copy_to(each, target)
            target.sync()
        _retire(instance, place, name, (), edited, keep)
        place.rename(new, name)
        place.sync()


def _complete(instance: Instance, folder: Folder, names: Iterable[str]) -> None:
    """Versions before this one moved file by file: bring together what was broken off."""
    with _previous(instance) as (place, name):
        if place is not None and place.has(name):
            with place.enter(name) as target:
                for each in names:
                    folder.copy_to(each, target)


def _retire(instance: Instance, place: Folder, name: str, written: Container[str], edited: Edited, keep: Keep) -> None:
    """Have results leave `previous/`."""
    if place.has(name):
        _save_unseen(place, name, written, edited)
    if not place.has(name) or not keep_result(instance, place, name, keep):
        _bury(place, name)


def _save_unseen(place: Folder, name: str, written: Container[str], edited: Edited) -> None:
    try:
        record = read_record(place.path / name)
    except RecordError:
        record = None
    with contextlib.suppress(NotADirectoryError), place.enter(name) as kept:
        for each, stored in ((record.outputs if record is not None else None) or {}).items():
            if stored.get("unseen") and each not in written:
                edited.save(kept, each)


def _bury(place: Folder, name: str) -> None:
    """Delete a folder that is not to be seen half deleted."""
    grave = f".{name}.old"
    place.remove_tree(grave)
    if place.has(name):
        place.rename(name, grave)
        place.remove_tree(grave)


@contextlib.contextmanager
def _previous(instance: Instance, *, make: bool = False) -> Iterator[tuple[Folder | None, str]]:
    inside = address(instance)
    if not make and not os.path.isdir(instance.runs_dir):
        yield None, inside.name
        return
    if make:
        instance.runs_dir.mkdir(parents=True, exist_ok=True)
    with open_below(instance.runs_dir, PREVIOUS / inside.parent, make=make) as place:
        yield place, inside.name

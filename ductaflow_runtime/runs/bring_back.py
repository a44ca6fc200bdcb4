"""An earlier result takes its place in the instance's folder again, as a transaction.

The results there make room as for an execution. The earlier ones have two places until the record says `done`: broken
off anywhere, the record says `running` with nobody at it, and neither is lost.
"""

from __future__ import annotations

import os
from pathlib import Path

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import FileState
from ductaflow_runtime.runs.artifacts import clear_folders, clear_halves, describe_files, snapshot_of
from ductaflow_runtime.runs.claim import host_name
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.durable import files_of, write_durably
from ductaflow_runtime.runs.folder import open_folder
from ductaflow_runtime.runs.instance import CONFIG_NAME, Instance, written_by_runtime
from ductaflow_runtime.runs.kept import Keep, drop, previous_of
from ductaflow_runtime.runs.previous import Edited, drop_previous, make_way, set_aside
from ductaflow_runtime.runs.reclaim import move_away
from ductaflow_runtime.runs.record import FILE_NAME, Record, now, read_record, write_record
from ductaflow_runtime.runs.states import Status


def bring_back(instance: Instance, source: Record, keep: Keep) -> Record:
    """Put an earlier result, which lies where its record says, into the instance's folder; gives its record there.

    The caller holds the instance's lock. Raises `RecordError` if the result is not whole, `OSError` if the disk does
    not take it: the instance counts as interrupted then.
    """
    _check_whole(source, source.directory)
    try:
        before = read_record(instance.directory)
    except RecordError:
        before = None
    running = _running(instance, source, before)
    if before is not None:
        set_aside(instance, before, running, keep)
        clear_folders(instance.directory)
    else:
        make_way(instance, source.flow_stem)
    move_away(instance, written_by_runtime(source.flow_stem) - {FILE_NAME})
    clear_halves(instance.directory, source.flow_stem)
    _fill(instance, source, running)
    final = source.but(directory=instance.directory, brought_back=now())
    _check_whole(final, final.directory)
    write_durably(final)
    if source.directory == previous_of(instance):
        drop_previous(instance, source.outputs or {})
    else:
        drop(source.directory)
        drop_previous(instance, source.outputs or {}, keep)
    return final


def _running(instance: Instance, source: Record, before: Record | None) -> Record:
    """It lists what is cleared away first, then what is put there: the next execution knows whose these files are."""
    started = now()
    return Record(
        flow=source.flow,
        step=instance.step,
        instance_name=instance.name,
        status=Status.RUNNING,
        reason=source.reason,
        started=started,
        outputs=None if before is None else (before.outputs or {}) | _attempt_logs(instance, before),
        links=before.links if before is not None else None,
        environment={"host": host_name(), "pid": os.getpid()},
        brought_back=started,
        directory=instance.directory,
    )


def _attempt_logs(instance: Instance, before: Record) -> dict[str, FileState]:
    """As outputs: a record that is running lists as logs of attempts only those that it keeps."""
    seen = {name: snapshot_of(os.path.join(instance.directory, name)) for name in before.attempt_logs}
    there = {name: state for name, state in seen.items() if state is not None}
    return describe_files(instance.directory, there, there)


def _fill(instance: Instance, source: Record, running: Record) -> None:
    """Give the files a second place, in the instance's folder; what somebody else has there is moved away."""
    names = sorted(files_of(source) - {FILE_NAME})
    with open_folder(source.directory) as place, open_folder(instance.directory) as folder, Edited(instance) as edited:
        for name in names:
            edited.save(folder, name)
            folder.remove(name)
        write_record(running.but(outputs=source.outputs, links=None, attempts=source.attempts))
        for name in names:
            place.copy_to(name, folder)


def _check_whole(record: Record, directory: Path) -> None:
    """A script, whose changes elsewhere nobody has watched, leaves no notebook."""
    needed = [CONFIG_NAME, record.log.name, *([] if record.outside is None else [record.notebook.name])]
    for name in needed:
        if not os.path.isfile(os.path.join(directory, name)):
            raise RecordError(f"{os.path.join(directory, name)} is missing")
    contents = Contents()
    for name, stored in (record.outputs or {}).items():
        if not contents.is_same(os.path.join(directory, name), stored):
            raise RecordError(f"{os.path.join(directory, name)} is not as the execution left it")

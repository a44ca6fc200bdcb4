"""What state an instance is in at this moment, and who holds it. The one place that tells a running instance from an
interrupted one, and a new one from a damaged one.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.errors import InstanceBusyError, RecordError
from ductaflow_runtime.runs.record import FILE_NAME, Record, read_record
from ductaflow_runtime.runs.states import Status

HEARTBEAT_S = 10.0


@dataclass(frozen=True)
class Seen:
    """An instance as it is at this moment.

    `state` is a status of records; `new` where nothing has run yet; or `damaged` without a usable record,
    and `damage` then says what is wrong with the file, if there is one.
    """

    state: Status
    record: Record | None = None
    damage: str | None = None


def look(directory: Path) -> Seen:
    """The one place that tells a running instance from an interrupted one, and a new one from a damaged one."""
    try:
        record = read_record(directory)
        while not _is_settled(record, directory):
            # An execution may have ended, or begun, since the record was read: what stays the same was left so.
            before, record = record, read_record(directory)
            if record == before:
                left = None if record is None else record.but(status=Status.INTERRUPTED)
                return Seen(Status.DAMAGED if left is None else left.status, left)
    except RecordError as error:
        return Seen(Status.DAMAGED, damage=str(error))
    if record is None:
        return Seen(Status.NEW if _is_empty(directory) else Status.RUNNING)
    return Seen(record.status, record)


def _is_settled(record: Record | None, directory: Path) -> bool:
    """Whether a record is right as it stands. One that is missing from a folder in use is about to be written."""
    if record is not None:
        return record.status is not Status.RUNNING or is_alive(record)
    with locked(directory) as free:
        return not free or _is_empty(directory)


def _is_empty(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return True


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """Hold the instance for this process; yields whether nobody else held it.

    The lock goes with the process, however it ends. Where folders cannot be locked (Windows, some network
    file systems) it is always granted.
    """
    handle = _lock(directory)
    try:
        yield handle is not None
    finally:
        if handle is not None and handle >= 0:
            os.close(handle)


def acquire(directory: Path) -> bool:
    """Hold the instance until this process ends; false if another process holds it."""
    return _lock(directory) is not None


def _lock(directory: Path) -> int | None:
    """A locked descriptor, -1 where locks are not to be had, `None` if another process holds it."""
    if sys.platform == "win32":
        return -1
    import fcntl

    try:
        handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        for attempt in range(5):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                time.sleep(0.01 * attempt)  # somebody may only be looking whether it is held
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        return -1


def is_alive(record: Record) -> bool:
    """Whether the execution that a `running` record speaks of is still going on."""
    if record.status is not Status.RUNNING:
        return False
    if (record.environment or {}).get("host") == host_name():
        with locked(record.directory) as free:
            return not free
    with contextlib.suppress(OSError):
        # Another machine's process cannot be looked at; its worker touches the record while it lives.
        return time.time() - (record.directory / FILE_NAME).stat().st_mtime < 6 * HEARTBEAT_S
    return False


def host_name() -> str:
    """This machine's name, as records hold it."""
    import platform

    return platform.node()


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

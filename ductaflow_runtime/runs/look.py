"""What state an instance is in at this moment. The one place that tells a running instance from an
interrupted one, and a new one from a damaged one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.texts import parse_config, text_of
from ductaflow_runtime.config.values import Config, Json
from ductaflow_runtime.errors import ConfigError, InstanceBusyError, RecordError
from ductaflow_runtime.files import read_regular
from ductaflow_runtime.runs.claim import host_name, is_beating
from ductaflow_runtime.runs.instance import CONFIG_NAME
from ductaflow_runtime.runs.lock import is_free, locked
from ductaflow_runtime.runs.record import FILE_NAME, Record, read_record
from ductaflow_runtime.runs.states import Status


@dataclass(frozen=True)
class Seen:
    """An instance as it is at this moment.

    `state` is a status of records; `new` where nothing has run yet; or `damaged` without a usable record,
    and `damage` then says what is wrong with the file, if there is one.
    """

    state: Status
    record: Record | None = None
    damage: str | None = None


def look(directory: Path, *, own: bool = False) -> Seen:
    """The one place that tells a running instance from an interrupted one, and a new one from a damaged one.

    `own`: this process holds the instance, so that nobody else on this machine is at it.
    """
    try:
        record = read_record(directory)
        while not _is_settled(record, directory, own):
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


def _is_settled(record: Record | None, directory: Path, own: bool) -> bool:
    """Whether a record is right as it stands. One that is missing from a folder in use is about to be written."""
    if record is not None:
        return record.status is not Status.RUNNING or (is_alive(record) if not own else is_alive_elsewhere(record))
    return _is_empty(directory) if own else not is_free(directory) or _is_empty(directory)


def _is_empty(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def is_alive(record: Record) -> bool:
    """Whether the execution that a `running` record speaks of is still going on."""
    if record.status is not Status.RUNNING:
        return False
    if (record.environment or {}).get("host") == host_name():
        return not is_free(record.directory)
    return is_alive_elsewhere(record)


def is_alive_elsewhere(record: Record) -> bool:
    """Whether it goes on on another machine, whose locks may not be seen here: its worker touches the record."""
    there = (record.environment or {}).get("host") != host_name()
    return there and record.status is Status.RUNNING and is_beating(record.directory / FILE_NAME)


def config_of(record: Record) -> Config:
    """The recorded config, else the file beside the record: an execution that died early left only that."""
    if record.fingerprint is not None and record.fingerprint.config is not None:
        return record.fingerprint.config
    try:
        return stored_config(record.directory)
    except ConfigError:
        return {}


def values_of(record: Record) -> dict[str, Json]:
    """What an instance was given, by dotted keys."""
    return flatten(config_of(record))


def results_of(record: Record) -> dict[str, Json]:
    """What it has saved, by dotted names, also where a record holds nested results."""
    return flatten(record.results or {})


def defaults_of(record: Record) -> dict[str, Json]:
    """The parameters that the config says nothing of, by dotted names, as the execution had them, if that is known."""
    was = record.fingerprint
    # What an accepted record tells of the code is not what was executed.
    if was is None or was.config is None or was.code.takes_config is not False or record.accepted is not None:
        return {}
    return flatten({name: value for name, value in (was.code.defaults or {}).items() if name not in was.config})


def stored_config(directory: Path) -> Config:
    """The config that an execution left in its folder; raises `ConfigError` for one that cannot be read."""
    path = directory / CONFIG_NAME
    return parse_config(text_of(path, read_regular), f"config file {path}")


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

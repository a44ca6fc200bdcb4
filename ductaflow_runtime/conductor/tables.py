"""The tables that a step's instances have saved, as one long frame: each file checked against its record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ductaflow_runtime.conductor.dataframe import NAME, typed
from ductaflow_runtime.errors import ConfigError, MissingExtraError, RecordError
from ductaflow_runtime.files import read_regular
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.tables.files import TableFile, from_file

if TYPE_CHECKING:
    from ductaflow_runtime.runs.look import Seen
    from ductaflow_runtime.runs.record import Record

_MOST_PROBLEMS = 5


def load_table(step: str, table: str, seen: Iterable[Seen]) -> pd.DataFrame:
    """The rows that all instances of a step which are done have saved under a name; `instance_name` comes first.

    Raises `ConfigError` for a table that no instance has, and `RecordError` for a file that is gone or is not what the
    instance wrote.
    """
    done = [one.record for one in seen if one.state is Status.DONE and one.record is not None]
    if not any(table in (record.tables or {}) for record in done):
        there = dict.fromkeys(name for record in done for name in record.tables or {})
        advice = f"there are {', '.join(there)}" if there else "a flow saves one with save_results(name=frame)"
        raise ConfigError(f"no instance of {step} that is done has saved a table {table!r}; {advice}")
    read: dict[str, pd.DataFrame] = {}
    problems = []
    for record in done:
        try:
            if table in (record.tables or {}):
                read[record.directory.name] = _read(record, table)
        except (OSError, RecordError) as error:
            problems.append(f"{step}/{record.directory.name}: {error}")
    if problems:
        more = [f"and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
        listed = "".join(f"\n  - {problem}" for problem in [*problems[:_MOST_PROBLEMS], *more])
        raise RecordError(f"tables {table!r} are not what the instances wrote; run these again:{listed}")
    return _one_long(read)


def _read(record: Record, table: str) -> pd.DataFrame:
    told = (record.tables or {})[table]
    file = told["file"]
    content = read_regular(record.directory / file)
    if hashlib.sha256(content).hexdigest() != (record.outputs or {}).get(file, {}).get("sha256"):
        raise RecordError(f"{file} has been changed")
    try:
        return from_file(TableFile(content, Path(file).suffix, told["rows"], told["dtypes"], told["empty"]))
    except MissingExtraError as error:
        raise MissingExtraError(f"{record.directory / file}: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file} cannot be read: {error}") from None


def _one_long(read: dict[str, pd.DataFrame]) -> pd.DataFrame:
    names = [name for name, frame in read.items() for _ in range(len(frame))]
    columns = dict.fromkeys(column for frame in read.values() for column in frame.columns)
    frames = list(read.values())
    return pd.DataFrame({NAME: pd.Series(names), **{column: _long_column(frames, column) for column in columns}})


def _long_column(frames: list[pd.DataFrame], column: str) -> pd.Series[Any]:
    """The dtype that it has in all frames, if it is one; else whole numbers stay whole, and nothing is rounded."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    if all(column in frame for frame in filled) and len({str(frame[column].dtype) for frame in filled}) == 1:
        return pd.concat([frame[column] for frame in filled], ignore_index=True)
    values: list[Any] = []
    for frame in filled:
        values += _plain(frame[column]) if column in frame else [None] * len(frame)
    return typed(values)


def _plain(column: pd.Series[Any]) -> list[Any]:
    values = column.astype(object).tolist()
    gone = [False] * len(values) if column.dtype.kind == "f" else column.isna().tolist()
    return [None if missing else value for value, missing in zip(values, gone, strict=True)]

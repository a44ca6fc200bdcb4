"""The tables that a flow saves: files in the instance's folder, and what its record says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import type_name
from ductaflow_runtime.runs.instance import TABLES, folded, name_problem
from ductaflow_runtime.tables.files import TableFile, to_file
from ductaflow_runtime.tables.frames import is_frame, table_of, way_to_pandas

if TYPE_CHECKING:
    from ductaflow_runtime.execution.running import Execution


def split_tables(given: Mapping[Any, Any]) -> tuple[dict[Any, Any], dict[str, TableFile]]:
    """The values among what was given, and the frames as files; raises `ConfigError` naming what cannot be a table."""
    frames = {name: value for name, value in given.items() if is_frame(value)}
    problems: list[str] = []
    problems += [
        f"{name}: {type_name(value)} is no pandas DataFrame; convert it first: {way}"
        for name, value in given.items()
        if name not in frames and (way := way_to_pandas(value))
    ]
    plain = {name: table_of(frame, str(name), problems) for name, frame in frames.items()}
    problems += [problem for name in frames if (problem := name_problem(name, "table name"))]
    if len({folded(str(name)) for name in frames}) < len(frames):
        problems.append(f"{', '.join(frames)}: two names differ only in upper and lower case")
    if problems:
        raise ConfigError("save_results cannot store as a table:", problems)
    values = {name: value for name, value in given.items() if name not in frames}
    return values, {name: to_file(frame, name) for name, frame in plain.items()}


def store_tables(running: Execution, values: Mapping[str, Any], tables: Mapping[str, TableFile]) -> None:
    """Write tables into the instance's folder; a name that is a value now, or a new table, gives up its old one."""
    for name, table in tables.items():
        _refuse_foreign(running, name, table.ending)
    for name in [name for name in running.tables if name in values or name in tables]:
        (running.directory / running.tables.pop(name)["file"]).unlink(missing_ok=True)
    for name, table in tables.items():
        file = f"{TABLES}/{name}{table.ending}"
        try:
            (running.directory / TABLES).mkdir(exist_ok=True)
            (running.directory / file).write_bytes(table.content)
        except OSError as error:
            raise ConfigError(f"the table {name} cannot be written: {error}") from None
        running.results.pop(name, None)
        running.tables[name] = {
            "file": file,
            "rows": table.rows,
            "dtypes": table.dtypes,
            "empty": table.empty,
        }


def _refuse_foreign(running: Execution, name: str, ending: str) -> None:
    """Nothing that the flow or a person has put there is overwritten, nor another table where case does not count."""
    path = running.directory / TABLES / f"{name}{ending}"
    if name not in running.tables and (path.exists() or folded(name) in map(folded, running.tables)):
        raise ConfigError(f"the table {name} cannot be written: {path} is there already; give one of them another name")


def shown(tables: Mapping[str, TableFile]) -> list[str]:
    """What to show of tables where there is no record."""
    return [f"table {name}: {table.rows} rows, columns {', '.join(table.dtypes)}" for name, table in tables.items()]

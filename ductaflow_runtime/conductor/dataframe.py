"""Between a control dataframe and plain data: rows in, what became of them out. The only user of pandas here."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ductaflow_runtime.conductor.dates import DateText
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.config.base import ABSENT, merge_base, whole_numbers
from ductaflow_runtime.config.dotted import nest
from ductaflow_runtime.config.secrets import plain_secrets, shape_problems
from ductaflow_runtime.config.values import MOST_DEEP, Config, Json, digest, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import brief, type_name
from ductaflow_runtime.parameters.check import ADVICE, LABELS
from ductaflow_runtime.parameters.expected import Expected
from ductaflow_runtime.parameters.gate import Finding, blank_cells, examine_columns, warn
from ductaflow_runtime.runs.instance import as_name, folded, name_problem
from ductaflow_runtime.runs.previous import former_result_names
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.tables.frames import way_to_pandas

NAME = "instance_name"
OURS = ("status", "reason", "duration_s", "directory", "error")
RESULT = "result."
_MOST_PROBLEMS = 100


def read_rows(control_df: pd.DataFrame, expected: Expected, base: Config | None = None) -> list[tuple[str, Config]]:
    """Name and config of each row, on top of `base`; raises one `ConfigError` with every problem of every row.

    What is doubtful of them is printed, once for all rows.
    """
    if not isinstance(control_df, pd.DataFrame):
        way = way_to_pandas(control_df)
        given = f"{type_name(control_df)}; convert it first: {way}" if way else type_name(control_df).rpartition(".")[2]
        raise ConfigError(f"the control dataframe is a pandas DataFrame, not {given}")
    problems = _column_problems(control_df)
    if problems:
        raise ConfigError("the control dataframe has columns that cannot be used:", problems)
    names, own = _names(control_df)
    columns: dict[str, list[Json]] = {}
    found: list[tuple[int, str]] = []
    for column in control_df.columns:
        if column != NAME:
            columns[column] = _column(control_df[column], column, found)
    unknown = examine_columns(expected, columns)
    if base is not None or not expected.keys.takes_config:
        _make_whole(columns, control_df, expected.defaults)
    if base is None:
        configs = _configs(columns, len(control_df), found)
    else:
        configs = _configs_on(base, columns, len(control_df), found)
    if not found:
        found += _secret_problems(configs)
    if not own:
        names = [digest(config) for config in configs] if not found else []
    found += _name_problems(names, own)
    refused = [finding for finding in unknown if finding.certain]
    if found or refused:
        raise _refusal(found, refused, names)
    blank = blank_cells(expected, columns) if base is None and expected.unknown_keys != "ignore" else []
    warn(expected, [*(finding.text for finding in unknown), *blank])
    return list(zip(names, configs, strict=True))


def _refusal(found: list[tuple[int, str]], refused: list[Finding], names: Sequence[Any]) -> ConfigError:
    """One error for all rows: first what is wrong with columns, then row by row."""
    all_rows = [f"all rows: {finding.text}" for finding in refused if finding.row is None]
    in_rows = sorted([*found, *((finding.row, finding.text) for finding in refused if finding.row is not None)])
    lines = [*all_rows, *(f"row {row}{_label(names, row)}: {text}" for row, text in in_rows)]
    more = [f"and {len(lines) - _MOST_PROBLEMS} more"] if len(lines) > _MOST_PROBLEMS else []
    return ConfigError(
        "the control dataframe has rows that cannot be run:",
        [*lines[:_MOST_PROBLEMS], *more],
        f"{ADVICE} {LABELS}" if refused else "",
    )


def _secret_problems(configs: Sequence[Config]) -> Iterable[tuple[int, str]]:
    for row, config in enumerate(configs):
        for problem in (*shape_problems(config), *plain_secrets(config)):
            yield row, problem


def _make_whole(columns: dict[str, list[Json]], frame: pd.DataFrame, defaults: Config) -> None:
    """Whole numbers again in columns of floats, which a blank cell makes of them, where the default is a whole number.

    Whether a blank is among these very rows does not matter: a part of a frame gives the same configs as the whole.
    """
    for column, values in columns.items():
        if getattr(frame[column].dtype, "kind", "O") == "f":
            default: Json = defaults
            for key in column.split("."):
                default = default.get(key) if isinstance(default, dict) else None
            columns[column] = [whole_numbers(value, default) for value in values]


def _configs_on(base: Config, columns: dict[str, list[Json]], rows: int, found: list[tuple[int, str]]) -> list[Config]:
    configs = []
    for row in range(rows):
        cells = ((name, ABSENT if values[row] is None else values[row]) for name, values in columns.items())
        try:
            configs.append(merge_base(base, cells))
        except ConfigError as error:
            found += [(row, problem) for problem in error.problems]
    return configs


def _column_problems(frame: pd.DataFrame) -> list[str]:
    problems = []
    for column in frame.columns:
        if not isinstance(column, str) or not all(column.split(".")):
            problems.append(f"{brief(column)}: a column is named with text, and dots only between names")
        elif column in OURS or column.startswith(RESULT):
            problems.append(f"{column}: ductaflow adds a column of this name to the results; rename yours")
        elif column.count(".") > MOST_DEEP:
            problems.append(f"{brief(column)}: a column reaches at most {MOST_DEEP} objects deep, one for each dot")
    problems += [f"{column}: the column is there twice" for column in frame.columns[frame.columns.duplicated()]]
    if not problems:
        nest([(column, None) for column in frame.columns if column != NAME], problems)
    return problems


def _names(frame: pd.DataFrame) -> tuple[list[Any], bool]:
    if NAME not in frame.columns:
        return [], False
    return [as_name(name) for name in frame[NAME].tolist()], True


def _name_problems(names: Sequence[Any], own: bool) -> Iterable[tuple[int, str]]:
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        problem = name_problem(name)
        if problem:
            yield row, problem
            continue
        before = first.setdefault(folded(name), row)
        if before != row and own:
            yield (
                row,
                f"instance name {name!r} is the same as in row {before} (upper and lower case count as one)",
            )
        elif before != row:
            yield row, f"the same config as row {before}; give the rows an {NAME} column to run both"


def _label(names: Sequence[Any], row: int) -> str:
    return (
        f" ({names[row]})" if row < len(names) and isinstance(names[row], str) and not name_problem(names[row]) else ""
    )


def _column(series: pd.Series[Any], name: str, found: list[tuple[int, str]]) -> list[Json]:
    values = series.tolist()
    kind = getattr(series.dtype, "kind", "O")
    if kind in "biu" and series.dtype.__class__.__module__.startswith("numpy"):
        return values
    plain = kind == "f" and getattr(series.dtype, "itemsize", 8) <= 8  # not numpy's longdouble
    if plain and all(map(math.isfinite, (v for v in values if isinstance(v, float)))):
        return [value if isinstance(value, float) else None for value in values]
    clean: list[Json] = []
    for row, value in enumerate(values):
        problems: list[str] = []
        clean.append(to_json(value, name, problems))
        found += [(row, problem) for problem in problems]
    return clean


def _configs(columns: dict[str, list[Json]], rows: int, found: list[tuple[int, str]]) -> list[Config]:
    names = list(columns)
    if not any("." in name for name in names):
        if not names:
            return [{} for _ in range(rows)]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    configs = []
    for row in range(rows):
        problems: list[str] = []
        configs.append(nest([(name, columns[name][row]) for name in names], problems))
        found += [(row, problem) for problem in problems]
    return configs


def plan_frame(control_df: pd.DataFrame, reasons: Sequence[str | None]) -> pd.DataFrame:
    """The rows plus `reason`."""
    return _with(control_df, {"reason": pd.Series(list(reasons), index=control_df.index, dtype=object)})


def outcome_frame(control_df: pd.DataFrame, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The rows plus what became of them and what they saved; if none is done, what they saved before, valueless."""
    index = control_df.index
    durations = [None if outcome.record is None else outcome.record.duration_s for outcome in outcomes]
    results = [(outcome.record.results if outcome.record is not None else None) or {} for outcome in outcomes]

    def texts(values: Iterable[str | None]) -> pd.Series[Any]:
        return pd.Series(list(values), index=index, dtype=object)

    added: dict[str, pd.Series[Any]] = {
        "status": texts(str(outcome.status) for outcome in outcomes),
        "reason": texts(outcome.reason for outcome in outcomes),
        "duration_s": pd.Series(durations, index=index, dtype=float),
        "directory": texts(str(outcome.directory) for outcome in outcomes),
        "error": texts(None if outcome.error is None else outcome.error.line for outcome in outcomes),
    }
    names = dict.fromkeys(name for saved in results for name in saved)
    if all(outcome.status in (Status.FAILED, Status.NOT_RUN) for outcome in outcomes):
        names |= dict.fromkeys(former_result_names(outcome.directory for outcome in outcomes))
    for name in names:
        added[RESULT + name] = typed([saved.get(name) for saved in results]).set_axis(index)
    return _with(control_df, added)


def _with(control_df: pd.DataFrame, added: dict[str, pd.Series[Any]]) -> pd.DataFrame:
    return pd.concat([control_df, pd.DataFrame(added, index=control_df.index)], axis=1)


def typed(values: Sequence[Any]) -> pd.Series[Any]:
    """JSON values as the column they came from: whole numbers stay whole beside missing ones, dates dates."""
    kinds = {type(value) for value in values if value is not None}
    missing = any(value is None for value in values)
    if kinds == {int}:
        small = all(value is None or -(2**63) <= value < 2**63 for value in values)
        if small:
            return pd.Series(values, dtype="Int64" if missing else "int64")
    elif kinds == {bool}:
        return pd.Series(values, dtype="boolean" if missing else "bool")
    elif kinds and kinds <= {int, float} and all(type(value) is not int or _is_exact(value) for value in values):
        return pd.Series(values, dtype="float64")
    elif DateText in kinds:
        texts = pd.Series([str(value) if isinstance(value, DateText) else value for value in values], dtype=object)
        return _dates(texts) if kinds == {DateText} else texts
    return pd.Series(values, dtype=object)


def _dates(texts: pd.Series[Any]) -> pd.Series[Any]:
    """ISO texts as the timestamps that they were, or as dates where none has a time."""
    try:
        if not any("T" in text for text in texts.dropna()):
            return texts.map(datetime.date.fromisoformat, na_action="ignore")
        return pd.Series(pd.to_datetime(texts, format="ISO8601"))
    except ValueError:
        return texts  # time zones are mixed, or a year is one that pandas does not have: the text is exact


def _is_exact(number: int) -> bool:
    """Whether a float can hold a whole number."""
    return abs(number) <= 2**53 or (abs(number) < 2**1023 and int(float(number)) == number)

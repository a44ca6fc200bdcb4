"""The results of a step, or of all, as one frame: read from the records alone."""

from __future__ import annotations

import difflib
import glob
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.dates import with_dates
from ductaflow_runtime.conductor.outdated_results import warn_of_outdated, why_outdated
from ductaflow_runtime.conductor.rehearsal import current_rehearsal
from ductaflow_runtime.errors import ConfigError, ProjectError
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.project import Project, find_root
from ductaflow_runtime.runs.control import not_in_control
from ductaflow_runtime.runs.instance import check_name, list_instances, list_steps
from ductaflow_runtime.runs.look import Seen, defaults_of, look, results_of, values_of
from ductaflow_runtime.runs.previous import former_result_names
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    import pandas as pd

_STALE = "not_up_to_date"
_OWN = (
    *("step", "instance_name", "status", _STALE, "duration_s"),
    *("cpu_s", "peak_memory", "warnings", "error", "directory"),
)


def load_results(
    step: str | None = None, runs_dir: str | os.PathLike[str] | None = None, *, table: str | None = None
) -> pd.DataFrame:
    """One row an instance: `step`, `instance_name`, its config (dotted columns), `status`, `not_up_to_date`,
    `duration_s` (seconds), `cpu_s` (seconds), `peak_memory` (bytes), `warnings`, `error`, `directory`, and what it
    saved as `result.<name>`.

    `not_up_to_date` says why a result is not what an execution would give now (`None`: it is), as `ductaflow status`
    does, and a warning counts those. In a flow, and outside the project that the results are of, nobody looks, and
    the column is not there. Where some rows of a step give a parameter and others leave it to the flow's default,
    these have the default that they were executed with.

    All steps without `step`. Whole numbers stay whole, dates dates and text text. A record that cannot be read
    is a row with status `damaged` and the cause in `error`; a config key named like one of the columns
    above becomes `config.<key>`. A step that nothing has run yet gives no rows; one that has no flow of its name
    either, and is called nearly like another step, is a `ConfigError` that names that one. Outside a project, where
    there are no results either, it is a `ProjectError`; a `runs_dir` that is not there is a warning.

    With `table`, instead, the rows of the tables that the step's instances have saved under that name: one long frame,
    `instance_name` first, of the instances that are done. Raises `ConfigError` for a table that there is not, naming
    those that there are, and `RecordError` for a file that is not what its instance wrote.
    """
    import pandas as pd

    from ductaflow_runtime.conductor.dataframe import typed
    from ductaflow_runtime.conductor.tables import load_table

    folder = _runs_dir(runs_dir)
    _check_place(folder, explicit=runs_dir is not None)
    rehearsal = current_rehearsal()
    unknown = None if rehearsal is None else rehearsal.results(folder, step)
    if unknown is not None:
        return unknown  # type: ignore[return-value]
    if table is not None and step is None:
        raise ConfigError(f"load_results(table={table!r}) needs the step that saved it: load_results(step, table=...)")
    steps = list_steps(folder) if step is None else [_known_step(folder, step)]
    seen = {each: _look_at(folder, each) for each in steps}
    long = None if table is None else load_table(steps[0], table, seen[steps[0]].values())
    stale = why_outdated(folder, seen)
    for each in steps:
        _warn_of_lost_rows(folder, each)
        warn_of_outdated(each, [name for of, name in stale or () if of == each], stacklevel=2)
    if long is not None:
        return long
    rows = [row for each in steps for row in rows_of_step(folder, each, seen[each])]
    for row in rows if stale is not None else ():
        row[_STALE] = (stale or {}).get((row["step"], row["instance_name"]))
    own = [name for name in _OWN if name != _STALE or stale is not None]
    given = dict.fromkeys(key for row in rows for key in row if key not in _OWN and not key.startswith("result."))
    results = dict.fromkeys(key for row in rows for key in row if key.startswith("result."))
    if rows and not any(row["status"] == Status.DONE for row in rows):
        with execution.aside():
            former = former_result_names(Path(row["directory"]) for row in rows)
        results |= dict.fromkeys(f"result.{name}" for name in former)
    columns = [*own[:2], *given, *own[2:], *results]
    values = {key: typed([row.get(key) for row in rows]) for key in columns}
    return pd.DataFrame(values, columns=columns)


def _check_place(folder: Path, *, explicit: bool) -> None:
    """No results in a folder that is not there are no mistake in a project, where they may come."""
    if current_rehearsal() is not None or execution.current() is not None or folder.is_dir():
        return
    if explicit:
        warnings.warn(f"there are no results: {folder} does not exist", stacklevel=3)
    elif not (_root() / "pyproject.toml").is_file():
        raise ProjectError(
            f"there are no results: neither {_root()} nor a folder above it holds a pyproject.toml, and {folder} does "
            "not exist. Go to the folder of a project first, or give runs_dir="
        )


def _warn_of_lost_rows(runs_dir: Path, step: str) -> None:
    with execution.aside():  # of which rows a step has, the instances' own records say nothing
        lost = not_in_control(runs_dir, step)
    if lost:
        which = "an instance that has" if len(lost) == 1 else f"{len(lost)} instances that have"
        warnings.warn(
            f"the results of {step} include {which} no row any more: {some(lost, 3)} (`ductaflow prune {step}`)",
            stacklevel=3,
        )


def _runs_dir(runs_dir: str | os.PathLike[str] | None) -> Path:
    running = execution.current()
    if runs_dir is None and running is not None:
        return running.runs_dir
    with execution.aside():
        return Project.at(_root(), runs_dir).runs_dir


def _root() -> Path:
    running = execution.current()
    return find_root() if running is None else running.root


def _known_step(runs_dir: Path, step: str) -> str:
    """A step that has results or may get some; `ConfigError` for one that is nearly the name of another one.

    A flow that has not run yet has no results, which is no mistake.
    """
    if (runs_dir / check_name(step, "step name")).is_dir():
        return step
    with execution.aside():  # which other steps there are is no input of a flow that asks
        near = difflib.get_close_matches(step, list_steps(runs_dir))
        if near and not any((_root() / "flow").glob(f"{glob.escape(step)}.*")):
            raise ConfigError(f"no step {step} in {runs_dir}; did you mean {' or '.join(near)}?")
    return step


def _look_at(runs_dir: Path, step: str) -> dict[str, Seen]:
    """What the instances of a step are like at this moment, by name; none of a folder in which nothing has run."""
    seen = {name: look(runs_dir / step / name) for name in list_instances(runs_dir, step)}
    return {name: one for name, one in seen.items() if one.state != Status.NEW}


def rows_of_step(runs_dir: Path, step: str, seen: Mapping[str, Seen]) -> list[dict[str, Any]]:
    """The instances of a step as rows."""
    rows = [_row(runs_dir / step / name, step, name, one) for name, one in seen.items()]
    names = {key for row in rows for key in row}
    for row, one in zip(rows, seen.values(), strict=True):
        defaults = {} if one.record is None else _as_columns(defaults_of(one.record))
        row.update((key, value) for key, value in defaults.items() if key in names and key not in row)
    return rows


def _row(directory: Path, step: str, name: str, seen: Seen) -> dict[str, Any]:
    """One instance as a row, also one whose record is damaged or missing."""
    row: dict[str, Any] = {"step": step, "instance_name": name, "directory": str(directory), "status": str(seen.state)}
    record = seen.record
    if record is None:
        damage = seen.damage or f"no {FILE_NAME}"
        return {**row, "error": damage if seen.state == Status.DAMAGED else None}
    row["duration_s"] = None if record.duration_s is None else float(record.duration_s)
    row["cpu_s"] = None if record.cpu_s is None else float(record.cpu_s)
    row["peak_memory"] = record.peak_memory
    row["warnings"] = record.warnings
    row["error"] = None if record.error is None else record.error.line
    row.update(_as_columns(with_dates(values_of(record), record.dates)))
    row.update({f"result.{key}": value for key, value in results_of(record).items()})
    return row


def _as_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """A config under the names of columns, where those of other columns are taken."""
    return {f"config.{key}" if key in _OWN or key.startswith("result.") else key: each for key, each in given.items()}

"""The results of a step, or of all, as one frame: read from the records alone."""

from __future__ import annotations

import difflib
import glob
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.dates import with_dates
from ductaflow_runtime.conductor.outdated import ADVICE, outdated
from ductaflow_runtime.conductor.rehearsal import current_rehearsal
from ductaflow_runtime.errors import ConfigError, ProjectError
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.project import Project, find_root
from ductaflow_runtime.runs.control import not_in_control
from ductaflow_runtime.runs.instance import check_name, list_instances, list_steps
from ductaflow_runtime.runs.look import look, results_of, values_of
from ductaflow_runtime.runs.previous import former_result_names
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    import pandas as pd

_OWN = ("step", "instance_name", "status", "duration_s", "cpu_s", "peak_memory", "warnings", "error", "directory")


def load_results(
    step: str | None = None, runs_dir: str | os.PathLike[str] | None = None, *, table: str | None = None
) -> pd.DataFrame:
    """One row an instance: `step`, `instance_name`, its config (dotted columns), `status`, `duration_s` (seconds),
    `cpu_s` (seconds), `peak_memory` (bytes), `warnings`, `error`, `directory`, and what it saved as `result.<name>`.

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

    folder = _runs_dir(runs_dir)
    _check_place(folder, explicit=runs_dir is not None)
    rehearsal = current_rehearsal()
    unknown = None if rehearsal is None else rehearsal.results(folder, step)
    if unknown is not None:
        return unknown  # type: ignore[return-value]
    if table is not None:
        if step is None:
            raise ConfigError(
                f"load_results(table={table!r}) needs the step that saved it: load_results(step, table=...)"
            )
        from ductaflow_runtime.conductor.tables import load_table

        return load_table(folder, _known_step(folder, step), table)
    steps = list_steps(folder) if step is None else [_known_step(folder, step)]
    for each in steps:
        _warn_of_lost_rows(folder, each)
        _warn_of_outdated_rows(folder, each)
    found = [read_row(folder / each, each, name) for each in steps for name in list_instances(folder, each)]
    rows = [row for row in found if row is not None]
    given = dict.fromkeys(key for row in rows for key in row if key not in _OWN and not key.startswith("result."))
    results = dict.fromkeys(key for row in rows for key in row if key.startswith("result."))
    if rows and not any(row["status"] == Status.DONE for row in rows):
        with execution.aside():
            former = former_result_names(Path(row["directory"]) for row in rows)
        results |= dict.fromkeys(f"result.{name}" for name in former)
    columns = [*_OWN[:2], *given, *_OWN[2:], *results]
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


def _warn_of_outdated_rows(runs_dir: Path, step: str) -> None:
    rows = outdated.of(runs_dir, step)
    if rows:
        which = "an instance that is" if len(rows) == 1 else f"{len(rows)} instances that are"
        warnings.warn(f"the results of {step} include {which} not up to date: {some(rows, 3)}; {ADVICE}", stacklevel=3)


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


def read_row(step_dir: Path, step: str, name: str) -> dict[str, Any] | None:
    """One instance as a row, also one whose record is damaged or missing; `None` if nothing has run there."""
    directory = step_dir / name
    seen = look(directory)
    if seen.state == Status.NEW:
        return None
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
    for key, value in with_dates(values_of(record), record.dates).items():
        row[f"config.{key}" if key in _OWN or key.startswith("result.") else key] = value
    row.update({f"result.{key}": value for key, value in results_of(record).items()})
    return row

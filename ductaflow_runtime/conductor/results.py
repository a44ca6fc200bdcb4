"""The results of a step, or of all, as one frame: read from the records alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.conductor.rehearsal import current_rehearsal
from ductaflow_runtime.config.values import flatten
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.project import Project, find_root
from ductaflow_runtime.runs.instance import check_name, list_instances, list_steps
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    import pandas as pd

_OWN = ("step", "instance_name", "status", "duration_s", "warnings", "error", "directory")


def load_results(step: str | None = None, runs_dir: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """One row an instance: `step`, `instance_name`, its config (dotted columns), `status`, `duration_s` (seconds),
    `warnings`, `error`, `directory`, and what it saved as `result.<name>`.

    All steps without `step`. Whole numbers stay whole, ISO dates become dates. A record that cannot be read
    is a row with status `damaged` and the cause in `error`; a config key named like one of the columns
    above becomes `config.<key>`.
    """
    import pandas as pd

    from ductaflow_runtime.conductor.dataframe import typed

    folder = _runs_dir(runs_dir)
    rehearsal = current_rehearsal()
    unknown = None if rehearsal is None else rehearsal.results(folder, step)
    if unknown is not None:
        return unknown  # type: ignore[return-value]
    steps = list_steps(folder) if step is None else [check_name(step, "step name")]
    found = [read_row(folder / each, each, name) for each in steps for name in list_instances(folder, each)]
    rows = [row for row in found if row is not None]
    given = dict.fromkeys(key for row in rows for key in row if key not in _OWN and not key.startswith("result."))
    results = dict.fromkeys(key for row in rows for key in row if key.startswith("result."))
    columns = [*_OWN[:2], *given, *_OWN[2:], *results]
    values = {key: typed([row.get(key) for row in rows], dates=key in given) for key in columns}
    return pd.DataFrame(values, columns=columns)


def _runs_dir(runs_dir: str | os.PathLike[str] | None) -> Path:
    running = execution.current()
    if runs_dir is None and running is not None:
        return running.runs_dir
    root = find_root() if running is None else running.root
    return Project.at(root, runs_dir).runs_dir


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
    row["warnings"] = record.warnings
    row["error"] = None if record.error is None else record.error.line
    for key, value in flatten((record.fingerprint.config if record.fingerprint is not None else None) or {}).items():
        row[f"config.{key}" if key in _OWN or key.startswith("result.") else key] = value
    row.update({f"result.{key}": value for key, value in (record.results or {}).items()})
    return row

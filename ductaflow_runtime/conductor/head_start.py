"""How a call begins: project and flow are read; meanwhile a base process starts, where it is sure to be used."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.conductor.plan import Call, Options, make_call
from ductaflow_runtime.conductor.rehearsal import beside_rehearsal, current_rehearsal
from ductaflow_runtime.conductor.sweep import threads_for
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.execution.context import aside
from ductaflow_runtime.project import Project
from ductaflow_runtime.worker.pool import pool

_READER = "jupytext"  # what takes the time, the first time that a flow is read


@contextlib.contextmanager
def begun_call(
    notebook_file: str | os.PathLike[str],
    step_name: str | None,
    runs_dir: str | os.PathLike[str] | None,
    options: Options,
    base_config: str | os.PathLike[str] | Config | None,
    *,
    rows: int,
) -> Iterator[Call]:
    """A call for so many rows, with its project and flow found and read; a base process may begin meanwhile."""
    with aside(), beside_rehearsal():
        project = Project.find(runs_dir)
    step = str(step_name) if step_name is not None else Path(str(notebook_file)).stem  # what is wrong is told below
    with head_start(project, options, step, rows=rows):
        with aside(), beside_rehearsal():
            call = make_call(notebook_file, step_name, project, options, base_config)
        yield call


@contextlib.contextmanager
def head_start(project: Project, options: Options, step: str, *, rows: int) -> Iterator[None]:
    """During a call for so many rows of a step; what it did not need ends with it."""
    reads_first_flow = _READER not in sys.modules and current_rehearsal() is None
    if reads_first_flow and _is_for_forks(project, options) and _has_fewer(project.runs_dir / step, rows):
        workers = options.settled(project).workers
        pool().begin_spare(threads_for(workers))
    try:
        yield
    finally:
        pool().end_spare()


def _is_for_forks(project: Project, options: Options) -> bool:
    return project.settings.engine == "fork" and options.kernel_name is None and not options.elsewhere


def _has_fewer(step: Path, rows: int) -> bool:
    """Whether a step has fewer folders than rows."""
    if rows == 1:  # asked for in loops, where even the first entry of a large folder costs time
        return not step.is_dir()
    try:
        with os.scandir(step) as folders:
            return sum(1 for _ in itertools.islice(folders, rows)) < rows
    except OSError:
        return rows > 0

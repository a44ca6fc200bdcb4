"""A base process that begins while the flow is still being read, where it is certain that something will run."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.conductor.plan import Options
from ductaflow_runtime.conductor.rehearsal import current_rehearsal
from ductaflow_runtime.conductor.sweep import threads_for
from ductaflow_runtime.project import Project
from ductaflow_runtime.worker.pool import pool

_READER = "jupytext"  # what takes the time, the first time that a flow is read


@contextlib.contextmanager
def head_start(project: Project, options: Options, step: str | os.PathLike[str], *, rows: int) -> Iterator[None]:
    """During a call for so many rows of a step, which may be named by its flow; what it did not need ends with it."""
    is_path = isinstance(step, str | os.PathLike)  # else the call is refused where it is looked at
    reads_first_flow = is_path and _READER not in sys.modules and current_rehearsal() is None
    if reads_first_flow and _is_for_forks(project, options) and _has_fewer(project.runs_dir / Path(step).stem, rows):
        workers = options.with_settings(project.settings).workers
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
    except (OSError, ValueError):
        return rows > 0

"""A process made a flow's: its working directory, its import path, and what the flow's calls refer to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ductaflow_runtime.execution.context import begin
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.kernel.capture import close_stdin
from ductaflow_runtime.project import set_import_path
from ductaflow_runtime.staleness.tracking import Tracker


def occupy(job: Job, directory: Path, *, goes_on: bool = False) -> Execution:
    """Make this process work in `directory`, for the flow of a job; nothing is tracked yet.

    `goes_on`: cells of the flow have been executed here, and what they have set stays.
    """
    os.chdir(directory)
    if not goes_on:
        set_import_path(Path(job.flow).parent, Path(job.root))
        sys.argv = [job.flow]
        sys.breakpointhook = lambda *_args, **_options: None  # as in a kernel that no debugger is attached to
    close_stdin()
    tracker = Tracker(root=job.root, own=str(directory), runs_dir=job.runs_dir)
    last_import = next(reversed(sys.modules))
    execution = Execution(Path(job.root), directory, Path(job.runs_dir), tracker, last_import=last_import)
    begin(execution)
    return execution

"""Execution in this very process, through papermill and its engine of ours: the usual way."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ductaflow_runtime.execution.assignment import Assignment, Phase
from ductaflow_runtime.execution.failure import Ran
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.usage import own_memory
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.kernel.shutdown import Shutdown
from ductaflow_runtime.kernel.watch import Watch
from ductaflow_runtime.staleness.imports import local_modules

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from ductaflow_runtime.execution.shared import Shared
    from ductaflow_runtime.kernel.log import Log


def run_in_process(
    given: Assignment, notebook: NotebookNode, execution: Execution, log: Log, shared: Shared | None = None
) -> Ran:
    """Execute the cells in this process; those of `shared` it has executed before it was forked."""
    replies: list[dict[str, Any]] = []
    trails = [""]
    shutdown = Shutdown(given.job.grace, execution.warned.add)
    memory: list[int] = []

    def end(release: Callable[[], None]) -> None:
        given.observe(Phase.END)
        held = own_memory()
        memory.extend([] if held is None else [max(held - given.inherited, 0)])
        with execution.tracker.looking_back():
            shutdown(release)

    def failed(reply: dict[str, Any]) -> None:
        replies.append(reply)
        trails.append(_trail() if reply["ename"] == "SystemExit" else "")

    watch = Watch(
        log=log,
        pipes=given.pipes,
        journal=given.journal,
        own_code=execution.tracker.looking_back,
        is_over=given.is_over,
        at_end=end,
        on_error=failed,
        executed=shared.executed if shared is not None else None,
        context=shared.context if shared is not None else None,
    )
    with execution.tracker.watching_others():  # a thread of the flow reads between its cells and after them
        error = run_cells(given.job, notebook, watch)
    if replies and getattr(error, "ename", None) == "CellExecutionError":
        _name_error(error, replies[-1])
    modules = local_modules(given.job.root, execution.last_import)
    return Ran(notebook, error, modules, trail=trails[-1], memory=max(memory, default=None))


def _trail() -> str:
    """The lines that the last error came through, as IPython names them in tracebacks; of an exit it shows none."""
    name_of = cast(Any, build_kernel().shell).compile.format_code_name
    passed = traceback.walk_tb(getattr(sys, "last_traceback", None))
    named = ((name_of(frame.f_code.co_filename), line) for frame, line in passed)
    return "\n".join(f"{' '.join(name)}, line {line}" for name, line in named if name)


def _name_error(error: Any, reply: dict[str, Any]) -> None:
    """Papermill looks for the error among the outputs, and a cell may fail without a traceback."""
    error.ename, error.evalue = reply["ename"], reply["evalue"]


def run_cells(job: Job, notebook: NotebookNode, watch: Watch) -> BaseException | None:
    """Execute the notebook, parameters and all, through papermill; gives the error that ended it, if any.

    These are the steps of `papermill.execute_notebook` without those that write the whole notebook as text
    once before and once after, for a caller that asked for no file.
    """
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors

    kernel = {"kernel_name": "python3", "engine_name": "ductaflow"}
    prepare_notebook_metadata(
        notebook, job.project.relative(job.flow), f"{Path(job.flow).stem}.ipynb", report_mode=False
    )
    try:
        papermill_engines.execute_notebook_with_engine(
            nb=notebook, progress_bar=False, autosave_cell_every=0, watch=watch, **kernel
        )
        raise_for_execution_errors(notebook, None)
    except PapermillExecutionError as failed:
        return cast(Exception, failed)
    except (Exception, KeyboardInterrupt) as failed:  # noqa: BLE001 - the notebook is kept, and the record says it
        return failed
    return None

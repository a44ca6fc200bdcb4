"""How the cells of a flow ended, judged: what the record will say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from ductaflow_runtime.execution.advice import advise
from ductaflow_runtime.execution.assignment import Assignment
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import without_escapes
from ductaflow_runtime.flow.notebook import place_of
from ductaflow_runtime.kernel.log import plain
from ductaflow_runtime.runs.failure import Failure, interrupted, of_cell, of_surroundings
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    from nbformat import NotebookNode


# How IPython names a line of a cell in a traceback.
_CELL_LINE = re.compile(r"^ *Cell In\[(\d+)\], line (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """The executed notebook, the error that ended it, if any, and the project's modules: absolute path -> name.

    `trail` names the lines that an error without traceback came through. Not `watched` is a kernel without ductaflow:
    nobody knows its modules, nor what it read and warned of. `memory` is what this process held after the last cell, in
    bytes, beyond what it began with.
    """

    notebook: NotebookNode
    error: BaseException | None
    modules: Mapping[str, str]
    watched: bool = True
    trail: str = ""
    memory: int | None = None


def judge(ran: Ran, numbers: dict[str, int], given: Assignment) -> tuple[Status, Failure | None]:
    """What the record says of the cells' execution; `numbers` are those of the flow's own cells, by id.

    Whatever the flow made of an interrupt or of its time limit, what it did not do is missing.
    """
    error = ran.error
    cell = failed_cell(ran.notebook, numbers)
    at = cell or last_cell(ran.notebook, numbers)
    ename = getattr(error, "ename", type(error).__name__)
    if given.interrupted:
        return Status.INTERRUPTED, interrupted(at)
    if given.clock.expired() and (error is None or ename == "KeyboardInterrupt"):
        return Status.FAILED, given.clock.failure(at)
    if error is None:
        return Status.DONE, None
    if ename == "KeyboardInterrupt":
        return Status.INTERRUPTED, interrupted(at)
    if isinstance(error, OSError):  # not a cell's, whose errors papermill wraps
        return Status.FAILED, of_surroundings(error)
    failure = of_cell(ename, plain_text(getattr(error, "evalue", str(error))), getattr(error, "traceback", []), cell)
    return Status.FAILED, advise(failure, given.job)


def placed(error: Failure | None, ran: Ran, numbers: dict[str, int], job: Job) -> Failure | None:
    """The failure with the flow's line that it came through, the deepest if it came through several."""
    told = without_escapes("\n".join([*getattr(ran.error, "traceback", []), ran.trail]))
    cells = {cell.get("execution_count"): cell for cell in ran.notebook.cells if cell["id"] in numbers}
    lines = [(cells[int(count)], int(line)) for count, line in _CELL_LINE.findall(told) if int(count) in cells]
    if error is None or not lines:
        return error
    cell, line = lines[-1]
    number, text = numbers[cell["id"]], job.content.decode("utf-8-sig", "replace")
    return replace(error, place=place_of(job.project.relative(job.flow), text, cell.source, cell=number, line=line))


def plain_text(text: str) -> str:
    """Text without colours, line by line."""
    return "\n".join(plain(line) for line in text.split("\n"))


def forgive(ran: Ran) -> Ran:
    """Without papermill's error where none is: a cell that is meant to raise, or `sys.exit(0)`.

    Papermill takes every error among the outputs for a failure; its engine marks the cell that ended the flow.
    """
    from papermill.exceptions import PapermillExecutionError

    if not isinstance(cast(object, ran.error), PapermillExecutionError):
        return ran
    for cell in ran.notebook.cells:
        if cell.metadata.get("papermill", {}).get("exception") is True:
            found = [output for output in cell.get("outputs", []) if output.output_type == "error"]
            if not found or found[-1].ename != "SystemExit" or not means_success(found[-1].evalue):
                return ran
    ran.notebook.cells = [
        cell for cell in ran.notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return replace(ran, error=None)


def means_success(code: object) -> bool:
    """Whether `sys.exit(code)` is a success; in a notebook the code has become text."""
    return str(code) in ("", "0", "None", "False")


def last_cell(executed: NotebookNode, numbers: dict[str, int]) -> int | None:
    """The number of the cell that was executed last."""
    ran = [numbers[cell["id"]] for cell in executed.cells if cell.get("execution_count") and cell["id"] in numbers]
    return max(ran, default=None)


def failed_cell(executed: NotebookNode, numbers: dict[str, int]) -> int | None:
    """The number of the cell that papermill marked as failed."""
    for cell in executed.cells:
        if cell.metadata.get("papermill", {}).get("exception") is True:
            return numbers.get(cell["id"])
    return None

"""What the record says of how an execution ended."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ductaflow_runtime.kernel.capture import plain
from ductaflow_runtime.runs.failure import Failure, interrupted, timed_out
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Clock:
    """The time limit of one execution."""

    limit: float | None
    started: float

    @staticmethod
    def start(limit: float | None) -> Clock:
        """A clock that starts now."""
        return Clock(limit, time.monotonic())

    @property
    def deadline(self) -> float | None:
        """The moment at which the time is over."""
        return None if self.limit is None else self.started + self.limit

    def expired(self) -> bool:
        """Whether the limit is over."""
        return self.limit is not None and time.monotonic() - self.started >= self.limit

    def failure(self, cell: int | None = None) -> Failure:
        """What the record says of it."""
        assert self.limit is not None
        return timed_out(self.limit, cell)


def judge(
    error: BaseException | None, executed: NotebookNode, numbers: dict[str, int], clock: Clock
) -> tuple[Status, Failure | None]:
    """What the record says of the cells' execution."""
    cell = failed_cell(executed, numbers)
    ename = getattr(error, "ename", type(error).__name__)
    if clock.expired() and (error is None or ename == "KeyboardInterrupt"):
        return Status.FAILED, clock.failure(cell or last_cell(executed, numbers))
    if error is None:
        return Status.DONE, None
    if ename == "KeyboardInterrupt":
        return Status.INTERRUPTED, interrupted(cell)
    shown = "\n".join(getattr(error, "traceback", []))
    message = plain_text(getattr(error, "evalue", str(error)))
    return Status.FAILED, Failure(ename, message, cell, _ANSI.sub("", shown))


def advise(error: Failure, root: Path) -> Failure:
    """Say what to do where the message alone does not: a file of the project, looked for in the instance's folder."""
    named = re.search(r"'([^']+)'$", error.message) if error.type == "FileNotFoundError" else None
    if named is None or os.path.isabs(named[1]) or not (root / named[1]).exists():
        return error
    advice = f"the project has it, but a flow works in its instance's folder: project_path({named[1]!r}) finds it"
    return replace(error, message=f"{error.message} ({advice})")


def plain_text(text: str) -> str:
    """Text without colours, line by line."""
    return "\n".join(plain(line) for line in text.split("\n"))


def real_error(executed: NotebookNode, error: BaseException | None) -> BaseException | None:
    """Papermill's error, unless it comes from a cell that is meant to raise, or from `sys.exit(0)`.

    Papermill takes every error among the outputs for a failure; its engine marks the cell that ended the flow.
    """
    from papermill.exceptions import PapermillExecutionError

    if not isinstance(error, PapermillExecutionError):
        return error
    for cell in executed.cells:
        if cell.metadata.get("papermill", {}).get("exception") is True:
            found = [output for output in cell.get("outputs", []) if output.output_type == "error"]
            if not found or found[-1].ename != "SystemExit" or not left_well(found[-1].evalue):
                return cast(Exception, error)
    executed.cells = [
        cell for cell in executed.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return None


def left_well(code: object) -> bool:
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

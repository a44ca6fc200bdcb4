"""How an execution failed, as its record says it. Every error of a record is made and put into words here."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import traceback as tracebacks
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.files import without_escapes
from ductaflow_runtime.memory import amount
from ductaflow_runtime.runs.stored import Stored

_OUTSIDE = "outside the flow; has the flow changed what all code in its process uses, such as json, open or os?"
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")
UNKNOWN = "unknown error"
NOT_BEGUN = "interrupted before it began"
# Types of errors that come again whenever the same is executed.
_LASTING = frozenset(
    (
        *("SyntaxError", "IndentationError", "TabError", "ModuleNotFoundError"),
        *("ConfigError", "FlowFileError", "MissingExtraError", "ProjectError", "RecordError"),
    )
)
FOLDER_REMOVED = "FolderRemoved"


@dataclass(frozen=True)
class Failure(Stored):
    """`type` and `message` of the error; `cell` counts the flow's own code cells from 1; `traceback` is plain text.

    `place` is file, line, and the line's text, `flow/x.py:14: total = sum(costs)`, of where it came through the flow.
    """

    type: str
    message: str = ""
    cell: int | None = None
    traceback: str | None = None
    place: str | None = None

    @property
    def cause(self) -> str:
        """`type: message`."""
        return f"{self.type}: {self.message}".rstrip(": ")

    @property
    def headline(self) -> str:
        """The first line of the cause, and the cell: what alike failures have in common."""
        return self._headline(next(iter(self.message.splitlines()), ""))

    @property
    def kind(self) -> str:
        """What equal failures have in common: the headline with `...` for each number of the message."""
        return self._headline(_NUMBER.sub("...", next(iter(self.message.splitlines()), "")))

    def _headline(self, message: str) -> str:
        return f"{self.type}: {message}".rstrip(": ") + (f" in cell {self.cell}" if self.cell else "")

    @property
    def may_pass(self) -> bool:
        """Whether the same execution may end otherwise another time."""
        return self.type not in _LASTING

    @property
    def line(self) -> str:
        """Cause and cell in one line."""
        return " ".join(self.cause.split()) + (f" (cell {self.cell})" if self.cell else "")


def failure_from_json(stored: Mapping[str, Any]) -> Failure:
    """The inverse of `to_json`; a part that is missing is unknown."""
    return Failure(
        str(stored.get("type") or UNKNOWN),
        str(stored.get("message") or ""),
        stored.get("cell"),
        stored.get("traceback"),
        stored.get("place"),
    )


def of_exception(error: BaseException, cell: int | None = None) -> Failure:
    """An exception; ours say all in their message."""
    text = None if isinstance(error, DuctaflowError) else "".join(tracebacks.format_exception(error))
    return Failure(type(error).__name__, str(error), cell, text)


def of_surroundings(error: BaseException) -> Failure:
    """An exception that did not come through the flow's code: it was about to begin, or its end to be recorded."""
    failure = of_exception(error)
    if isinstance(error, DuctaflowError):
        return failure
    if isinstance(error, OSError) and error.errno == errno.EBADF:
        return replace(failure, message="the flow closed descriptors that are not its own; its output ends there")
    if isinstance(error, OSError) and error.strerror:
        return replace(failure, message=error.strerror + _place_in(error))
    return replace(failure, message=f"{error} ({_OUTSIDE})")


def _place_in(error: OSError) -> str:
    """The file that could not be used; of one on its way to its place, the folder."""
    if not isinstance(error.filename, str):
        return ""
    folder, name = os.path.split(error.filename)
    return f": {folder if name.startswith('.') and name.endswith('.tmp') else error.filename}"


def of_cell(name: str, message: str, traceback: Iterable[str], cell: int | None) -> Failure:
    """An error as a kernel tells it: the name of its type, its message, and its traceback in coloured lines."""
    return Failure(name, message, cell, without_escapes("\n".join(traceback)))


def of_script(error: BaseException, trace: TracebackType | None, cell: int | None) -> Failure:
    """An error that ended a script."""
    text = "".join(tracebacks.format_exception(type(error), error, trace))
    if isinstance(error, KeyboardInterrupt):
        broken_off = interrupted(cell)
        return replace(broken_off, message=str(error) or broken_off.message, traceback=text)
    return Failure(type(error).__name__, str(error), cell, text)


def exited(code: object) -> Failure:
    """The flow ended itself, and not as one that succeeds."""
    return Failure("SystemExit", str(code))


def timed_out(limit: float, cell: int | None = None) -> Failure:
    """The time limit, in seconds, was over."""
    return Failure("Timeout", f"timed out after {limit:g} s", cell)


def out_of_memory(limit: int, peak: int, cell: int | None = None) -> Failure:
    """The limit of memory was exceeded; both in bytes."""
    return Failure("Memory", f"used {amount(peak)}, more than max_memory = {amount(limit)}", cell)


def interrupted(cell: int | None = None) -> Failure:
    """Somebody broke it off."""
    return Failure("Interrupted", "interrupted before it ended", cell)


def folder_removed() -> Failure:
    """The flow, or somebody else, took away what it was to leave its results in."""
    return Failure(FOLDER_REMOVED, "the instance's folder was removed while the flow was running")


def folder_replaced() -> Failure:
    """The same, and something else has taken its place."""
    message = "the instance's folder was removed and another put in its place while the flow was running"
    return Failure(FOLDER_REMOVED, message)


def names_taken(taken: Sequence[str]) -> Failure:
    """What lies where files of the runtime belong, each with its kind."""
    message = f"the flow put something else where files of its record belong: {', '.join(taken)}"
    return Failure("NamesTaken", f"{message}; that was moved to .ductaflow/edited in the folder of results")


def not_begun() -> Failure:
    """Somebody broke it off before anything was done."""
    return Failure("Interrupted", NOT_BEGUN)


def lost(message: str) -> Failure:
    """The worker died, and the process with it."""
    return Failure("Died", message)


def died(code: int) -> Failure:
    """The process ended before the flow did; `code` is negative for a signal."""
    return Failure("Died", describe_exit(code))


def describe_exit(code: int) -> str:
    """How a process ended, in words; `code` is negative for a signal."""
    if code >= 0:
        return f"the process ended with exit code {code} before the flow did"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"the process was killed by {name} (signal {-code}){hint}"
    return f"the process was killed by signal {-code}"

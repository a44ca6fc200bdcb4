"""What goes on beside the cells of a notebook: handed to the kernel, which knows nothing of whom it serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from ductaflow_runtime.kernel.capture import Pipes
from ductaflow_runtime.kernel.log import Log

# Takes one JSON object after the other: what is known so far, for the case of a sudden end.
Journal = Callable[[dict[str, Any]], None]


def no_journal(_entry: dict[str, Any]) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Executed:
    """Cells that this process has executed before it was forked: by id, each as it was left, as JSON.

    `reply` is that of the last one, if it ended the notebook. `displays` tells of each display that may be updated
    later which outputs of which cells show it.
    """

    cells: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    reply: dict[str, Any] | None = None
    displays: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Watch:
    """Where output goes besides the notebook, and who wants to know what.

    `log` is where printed text and errors go, `pipes` what the descriptors are pointed at, if somebody else has
    to be able to read them. `own_code()` is entered while a cell's own code runs. No cell is begun once `is_over`.
    `at_end` is called after the last cell, with the function that lets go of the cells' variables. `on_error`
    gets the reply of the cell that ended the notebook. `executed` are cells that are taken over as they are, `context`
    is what all cells run in, if those have left theirs.
    """

    log: Log | None = None
    pipes: Pipes | None = None
    journal: Journal = no_journal
    own_code: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    is_over: Callable[[], bool] = lambda: False
    at_end: Callable[[Callable[[], None]], None] = lambda _release: None
    on_error: Callable[[dict[str, Any]], None] = lambda _reply: None
    executed: Executed | None = None
    context: Context | None = None

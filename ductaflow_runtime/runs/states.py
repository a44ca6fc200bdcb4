"""Every word for the state of an instance, in one table: what it means, how it looks, what it counts as."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The state of an instance as it is seen on disk, or what became of a row; in order of importance."""

    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"
    RUNNING = "running"
    WARNED = "warnings"
    DONE = "done"
    UP_TO_DATE = "up to date"
    REFRESHED = "refreshed"
    NOT_RUN = "not run"
    NEW = "new"


@dataclass(frozen=True)
class State:
    """One row of the table.

    `many` is the word after a count, `ending` says of the last run how it went. `shape` is an SVG path in a square
    of 12, stroked if `line`, else filled; `light` and `dark` are its colours on a page of that kind. `stored`: a
    record may say it. `final`: nothing is executing. `failure`: somebody should look.
    """

    meaning: str
    shape: str
    light: str
    dark: str
    many: str = ""
    ending: str = ""
    line: bool = False
    stored: bool = False
    final: bool = True
    failure: bool = False


_CROSS = "M2 2 L10 10 M10 2 L2 10"
_PAUSE = "M3 1.5 h2 v9 h-2 z M7 1.5 h2 v9 h-2 z"
_DIAMOND = "M6 0.5 L11.5 6 L6 11.5 L0.5 6 z"
_ARROW = "M2.5 1 L11 6 L2.5 11 z"
_TRIANGLE = "M6 0.8 L11.6 11 H0.4 z"
_DISC = "M1 6 a5 5 0 1 0 10 0 a5 5 0 1 0 -10 0 z"
_DASH = "M2 6 H10"
_GREEN = ("#1d7f45", "#4cc27d")
_GREY = ("#56616e", "#a3adb8")

STATES: dict[Status, State] = {
    Status.FAILED: State(
        "the flow raised an error, ran out of time, or its process died",
        _CROSS, "#c0262d", "#ff7b78", ending="failed", line=True, stored=True, failure=True,
    ),
    Status.INTERRUPTED: State(
        "it was broken off; the next run executes it again",
        _PAUSE, "#6b4fb3", "#b49cf5", ending="was interrupted", stored=True, failure=True,
    ),
    Status.DAMAGED: State("its record cannot be read", _DIAMOND, *_GREY, failure=True),
    Status.RUNNING: State(
        "it is being executed at this moment",
        _ARROW, "#0b6fb8", "#58b4f2", ending="has not ended", stored=True, final=False,
    ),
    Status.WARNED: State(
        "it was executed, and warned", _TRIANGLE, "#a65405", "#f0a13f", many="done with warnings"
    ),
    Status.DONE: State("it was executed, and succeeded", _DISC, *_GREEN, ending="ended well", stored=True),
    Status.UP_TO_DATE: State("nothing has changed since it was executed", _DISC, *_GREEN),
    Status.REFRESHED: State("only text had changed: the stored notebook has the new text", _DISC, *_GREEN),
    Status.NOT_RUN: State("the sweep stopped before it", _DASH, *_GREY, line=True),
    Status.NEW: State("it has not been executed yet", _DASH, *_GREY, line=True),
}  # fmt: skip

# Not a state of its own: of a result of any state, that a new execution might give another one.
OUTDATED = ("#8f6a00", "#e3c53c")  # on a light and on a dark page

# What a summary counts, in the order of its columns.
COUNTED = (Status.DONE, Status.FAILED, Status.INTERRUPTED, Status.RUNNING, Status.DAMAGED)
STORED = frozenset(status for status, state in STATES.items() if state.stored)

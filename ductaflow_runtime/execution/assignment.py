"""A job as the process that does it gets it: what an execution has from its worker, in one value."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.kernel.capture import Pipes
from ductaflow_runtime.kernel.watch import Journal
from ductaflow_runtime.runs.failure import Failure, timed_out


@dataclass(frozen=True)
class Clock:
    """The time limit of one execution, in seconds, and the `time.monotonic()` from which it counts."""

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


INTERRUPTED = "interrupted"
"""The name of the file in `scratch` that is there from the moment at which somebody has broken the execution off."""


class Phase(StrEnum):
    """The parts of an execution, in their order."""

    OPEN = "open"
    STUDY = "study"
    ENTER = "enter"
    CELLS = "cells"
    END = "end"
    SAVE = "save"
    FINGERPRINT = "fingerprint"
    CLOSE = "close"


@dataclass(frozen=True)
class Assignment:
    """A job, and what its worker gives along.

    The worker reads from `pipes` what the process printed last before it died, and from `journal` how far it got.
    `scratch` is a folder for files that nobody keeps, `inherited` the memory, in bytes, that the process began with and
    that is its worker's. `observe` is told of each phase as it begins.
    """

    job: Job
    clock: Clock
    pipes: Pipes
    scratch: Path
    journal: Journal
    inherited: int = 0
    observe: Callable[[Phase], None] = lambda _phase: None

    @property
    def interrupted(self) -> bool:
        """Whether somebody has broken it off: a flow may catch that and go on, but its results are partial."""
        return (self.scratch / INTERRUPTED).exists()

    def is_over(self) -> bool:
        """Whether no further cell may begin."""
        return self.clock.expired() or self.interrupted

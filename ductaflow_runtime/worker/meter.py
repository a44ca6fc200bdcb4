"""What an instance's processes hold in memory, looked at now and then while they run."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from pathlib import Path

from ductaflow_runtime.execution.usage import NOTE
from ductaflow_runtime.memory import can_tell, held, most_held, started_by

# Without a limit a look is for the peak only, which the executing process knows of itself at its end: looking stops it
# for milliseconds, so that one of a fraction of a second is left alone.
_OFTEN_S = 0.1
_FIRST_S = 0.3
_RARELY_S = 1.0
_SHARE_OF_AGE = 0.1
# An exact look may cost the processor some time: how many times as long it is left in peace after one.
_PAUSES = 20
_PAUSES_ABOVE = 4


class Meter:
    """The memory of one instance: `peak` is the most that was seen, in bytes, `limit` what it may hold.

    All processes below this worker are the instance's, for it executes one at a time and inherits orphans.
    `scratch` is where the executing process finds the peak.
    """

    def __init__(self, limit: int | None, scratch: Path) -> None:
        self._limit = limit
        self._note = scratch / NOTE
        self._note.unlink(missing_ok=True)  # it was of an earlier job
        self._began = self._exact_at = time.monotonic()
        self._cost = 0.0
        self._processes: list[int] = []
        self.peak: int | None = None
        self.exceeded = False
        self.due = self._began + (_FIRST_S if limit is None else _OFTEN_S) if can_tell() else math.inf

    def look(self) -> None:
        """Look if it is time to."""
        moment = time.monotonic()
        if moment < self.due:
            return
        self._processes = started_by(os.getpid())
        most = sum(map(most_held, self._processes))
        above = self._limit is not None and most > self._limit
        pause = self._cost * (_PAUSES_ABOVE if above else _PAUSES)
        if most > (self.peak or 0) and moment - self._exact_at >= pause:
            self._look_closely()
        age = moment - self._began
        period = _OFTEN_S if self._limit is not None else min(max(_SHARE_OF_AGE * age, _OFTEN_S), _RARELY_S)
        self.due = time.monotonic() + period

    def kill(self) -> None:
        """End what was seen at the last look, also what has left the instance's process group."""
        for pid in self._processes:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _look_closely(self) -> None:
        spent = time.process_time()
        exact = sum(map(held, self._processes))
        self._exact_at = time.monotonic()
        self._cost = time.process_time() - spent
        if exact > (self.peak or 0):
            self.peak = exact
            self._tell()
        self.exceeded = self._limit is not None and exact > self._limit

    def _tell(self) -> None:
        """Whole or not at all: the executing process may read it at this moment."""
        written = self._note.with_suffix(".new")
        with contextlib.suppress(OSError):  # the peak is then what it knows itself
            written.write_text(f"{self.peak}", encoding="ascii")
            os.replace(written, self._note)

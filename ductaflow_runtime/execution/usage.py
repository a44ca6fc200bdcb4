"""What an execution has used: processor time and memory, its own and that of the processes that it started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.memory import can_tell, most_held

NOTE = "peak-memory"
"""The name of the file in `scratch` that holds the most memory that the worker has seen so far, in bytes."""


@dataclass(frozen=True)
class Usage:
    """`cpu_s` in seconds, `peak_memory` in bytes; `None` where nobody knows."""

    cpu_s: float | None = None
    peak_memory: int | None = None

    @property
    def rounded_cpu(self) -> float | None:
        """To the millisecond."""
        return None if self.cpu_s is None else round(self.cpu_s, 3)


UNKNOWN = Usage()


def own_cpu() -> float:
    """The processor time of this process, in seconds, and of those that it started and that have ended."""
    if sys.platform == "win32":
        return sum(os.times()[:4])
    import resource

    return _spent(resource.getrusage(resource.RUSAGE_SELF)) + children_cpu()


def children_cpu() -> float:
    """The processor time, in seconds, of processes that this one started and that have ended."""
    if sys.platform == "win32":
        return 0.0
    import resource

    return _spent(resource.getrusage(resource.RUSAGE_CHILDREN))


def own_memory() -> int | None:
    """What this process holds at this moment, in bytes, what it shares with others included."""
    return most_held(os.getpid()) if can_tell() else None


def usage_so_far(scratch: Path, at_end: int | None) -> Usage:
    """Of this process's execution: `at_end` is what it held after the last cell, if that is known."""
    seen = [amount for amount in (_noted(scratch), at_end) if amount is not None]
    return Usage(own_cpu(), max(seen, default=None))


def _noted(scratch: Path) -> int | None:
    try:
        return int((scratch / NOTE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _spent(usage: object) -> float:
    return float(usage.ru_utime + usage.ru_stime)  # type: ignore[attr-defined]

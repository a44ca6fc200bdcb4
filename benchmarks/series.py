"""What repeated measurements of one contender on one flow gave: filled by `run`, read by `report` and `promises`."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field


@dataclass
class Series:
    """Seconds and CPU seconds an instance, one value for each repeat; or why there are none."""

    count: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def seconds(self) -> float:
        """Median seconds an instance; not a number if none was measured, which keeps no promise."""
        return statistics.median(self.wall) if self.wall else math.nan

    @property
    def cpu_seconds(self) -> float:
        """Median CPU seconds an instance, everything that was started included; else not a number."""
        return statistics.median(self.cpu) if self.cpu else math.nan


Results = dict[tuple[str, str], Series]  # by the names of flow and contender

"""How long the rest of a sweep may take: by each row's own last duration, else by the mean of those that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan


@dataclass
class Estimate:
    """`past` has the last durations, in seconds, of rows that must run and have not ended; `unknown` counts others."""

    past: dict[str, float] = field(default_factory=dict)
    unknown: int = 0
    workers: int = 1
    _known_s: float = 0.0
    _measured_s: float = 0.0
    _measured: int = 0

    @staticmethod
    def of_plans(plans: Sequence[Plan]) -> Estimate:
        """What the rows' records say. How long a failed row took says nothing."""
        todo = [plan for plan in plans if plan.reason and not plan.busy]
        past = {
            plan.instance.name: plan.record.duration_s
            for plan in todo
            if plan.record is not None and plan.record.status is Status.DONE and plan.record.duration_s is not None
        }
        return Estimate(past, len(todo) - len(past), _known_s=sum(past.values()))

    def ended(self, outcome: Outcome) -> None:
        """One row less to wait for, and one more measured."""
        was = self.past.pop(outcome.instance.name, None)
        if was is None:
            self.unknown -= 1
        else:
            self._known_s -= was
        if outcome.status is Status.DONE and outcome.record is not None and outcome.record.duration_s is not None:
            self._measured += 1
            self._measured_s += outcome.record.duration_s

    def left(self, spent_s: float) -> float | None:
        """The seconds that are left, `spent_s` of them by rows that are running; `None` if nobody can know."""
        mean = self._measured_s / self._measured if self._measured else None
        if self.unknown > 0 and mean is None:
            return None
        work = max(self._known_s, 0.0) + max(self.unknown, 0) * (mean or 0.0)
        return max(work - spent_s, 0.0) / self.workers

"""A word for whoever has not met `save_results` yet: after a step's first sweep, if no row of it saved anything."""

from __future__ import annotations

from collections.abc import Sequence

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.runs.instance import list_instances
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.terminal import say


class NothingSaved(Observer):
    """Says it, once: a step that has been done before, with results or without, knows what it wants."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_first = False
        self._names: set[str] = set()
        self._done = 0
        self._saved = False

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Learn whether one of these rows was done before; a flow's own sweep is nobody's first."""
        self._names = {plan.instance.name for plan in plans}
        was_done = any(plan.record is not None and plan.record.status is Status.DONE for plan in plans)
        self._is_first = not was_done and current() is None

    def ended(self, outcome: Outcome) -> None:
        """Count it; what does not even count warnings is a flow that cannot call `save_results`."""
        record = outcome.record
        if outcome.status is Status.DONE and record is not None and record.warnings is not None:
            self._done += 1
            self._saved = self._saved or bool(record.results or record.tables)

    def finished(self) -> None:
        """Say it."""
        if self._is_first and self._done and not self._saved and not self._was_done_elsewhere():
            say(
                f"{self._call.step}: no row saved a result, so the frame has no result columns; "
                "a flow saves them with save_results(name=value) (from ductaflow import save_results)"
            )

    def _was_done_elsewhere(self) -> bool:
        """Whether an instance that is no row of this sweep is done."""
        runs_dir, step = self._call.project.runs_dir, self._call.step
        others = (name for name in list_instances(runs_dir, step) if name not in self._names)
        return any(look(runs_dir / step / name).state is Status.DONE for name in others)

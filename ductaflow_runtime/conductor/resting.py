"""Which rows of a call rest on results that are not up to date: nothing executes these, and the rows may not be taken
for more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.outdated import ADVICE, outdated
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.staleness.inventory import Found, examine
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.upstream import rest_on
from ductaflow_runtime.terminal import say

_MOST_CAUSES = 5


def lines_of(causes: dict[str, list[str]]) -> list[str]:
    """A line for each of the commonest causes, with its rows."""
    ordered = sorted(causes.items(), key=lambda item: -len(item[1]))
    lines = [f"  {len(rows)}  {cause}  ({some(rows)})" for cause, rows in ordered[:_MOST_CAUSES]]
    return [*lines, f"  and {len(ordered) - _MOST_CAUSES} more reasons"] if len(ordered) > _MOST_CAUSES else lines


class Resting(Observer):
    """Finds them among the rows that have been executed, and those that have read results.

    With `once`, for calls of one row each, it says it itself, and of the first row of a step alone; it looks only if
    the row has been executed, or where this process has such results.
    """

    def __init__(self, call: Call, *, once: bool = False) -> None:
        self._call = call
        self._once = once
        self._names: Sequence[str] = ()
        self._readers: dict[str, None] = {}
        self._text = ""
        self.causes: dict[str, str] = {}

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Remember the rows."""
        self._names = [plan.instance.name for plan in plans]
        self._readers = {} if self._once else dict.fromkeys(plan.instance.name for plan in plans if plan.reads)

    def ended(self, outcome: Outcome) -> None:
        """Remember that it has been executed."""
        if outcome.status is Status.DONE:
            self._readers[outcome.instance.name] = None

    def finished(self) -> None:
        """Look at them as `ductaflow status` does."""
        runs_dir, step = self._call.project.runs_dir, self._call.step
        names = self._names if outdated.any_in(runs_dir) else list(self._readers)
        if current() is not None or not names:
            return
        present = Present(self._call.project, kernels={self._call.flow: self._call.options.kernel_name})
        found = [one for one in rest_on(examine(present, step, names), present) if one.state is Status.DONE]
        outdated.note(
            runs_dir, step, names, [one.instance.name for one in found if one.reason or _rests(one, lost=False)]
        )
        resting = [one for one in found if one.above is not None and one.reason is None]
        self.causes = {one.instance.name: one.above.text for one in resting if one.above is not None}
        if resting and not (self._once and not outdated.is_first(runs_dir, step)):
            parts = [[one for one in resting if _rests(one, lost=lost)] for lost in (False, True)]
            self._text = "\n".join(self._told(part) for part in parts if part)
        if self._once and self._text:
            say(self._text)

    def text(self) -> str:
        """Which rows, and on what they rest; nothing if none does."""
        return self._text

    def _told(self, resting: Sequence[Found]) -> str:
        kinds = Counter(one.kind for one in resting)
        causes: dict[str, list[str]] = {}
        for one in resting:
            cause = one.stale if kinds[one.kind] == 1 else one.kind
            causes.setdefault(cause or "", []).append(one.instance.name)
        rows = "1 row rests" if len(resting) == 1 else f"{len(resting)} rows rest"
        rowless = dict.fromkeys(step for one in resting if one.above is not None for step in one.above.rowless)
        what = "have no row any more" if rowless else "are not up to date"
        prune = " and ".join(f"`ductaflow prune {step}`" for step in rowless)
        advice = f"{prune} removes them, after asking; then run the conductor again" if rowless else ADVICE
        return "\n".join([f"{self._call.step}: {rows} on results that {what}:", *lines_of(causes), f"  {advice}"])


def _rests(one: Found, *, lost: bool) -> bool:
    """Whether it has read what is not up to date, or only what is and has `lost` its row."""
    return one.above is not None and bool(one.above.rowless) == lost

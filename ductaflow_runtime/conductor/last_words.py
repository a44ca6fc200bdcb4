"""What a sweep says last: which rows failed, and which of its results are not up to date, as its frame says too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ductaflow_runtime.conductor.edited_meanwhile import EditedMeanwhile
from ductaflow_runtime.conductor.giving_up import OnError, Patience
from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.conductor.resting import Resting
from ductaflow_runtime.errors import InstancesFailed
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.terminal import say

if TYPE_CHECKING:
    import pandas as pd


class LastWords:
    """Of one call; its `observers` have to hear of the rows."""

    def __init__(self, call: Call) -> None:
        self._edited = EditedMeanwhile(call)
        self._resting = Resting(call)

    @property
    def observers(self) -> list[Observer]:
        """Those who find out."""
        return [self._edited, self._resting]

    def on(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes, each with what is not up to date about it in its reason."""
        edited, resting = self._edited.causes, self._resting.causes
        if not edited and not resting:
            return list(outcomes)
        return [_noted(outcome, edited, resting) for outcome in outcomes]

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Say it when all else has been said, however that ends."""
        try:
            yield
        finally:
            for text in filter(None, (self._edited.text(), self._resting.text())):
                say(text)


def _noted(outcome: Outcome, edited: dict[str, str], resting: dict[str, str]) -> Outcome:
    name = outcome.instance.name
    notes = [f"already out of date: {edited[name]}"] if name in edited else []
    notes += [resting[name]] if name in resting else []
    return replace(outcome, reason="; ".join(filter(None, (outcome.reason, *notes)))) if notes else outcome


def tell_failures(
    call: Call, outcomes: Sequence[Outcome], frame: pd.DataFrame, patience: Patience, on_error: OnError
) -> None:
    """Raise one `InstancesFailed` for all rows that failed, or say it, as the call asks for."""
    failed = [outcome.as_record(call.project) for outcome in outcomes if outcome.status is Status.FAILED]
    if failed:
        not_run = sum(outcome.status is Status.NOT_RUN for outcome in outcomes)
        error = InstancesFailed(failed, frame, patience.note(not_run))
        if on_error != "continue":
            raise error
        say(error.in_brief())

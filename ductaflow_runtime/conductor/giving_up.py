"""When a sweep starts nothing more: after the first failure, or after so many equal ones that others would follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import brief
from ductaflow_runtime.runs.states import Status

OnError = Literal["raise", "continue", "stop"] | int
USUAL = 20


@dataclass
class Patience:
    """`most` equal failures in a row end a sweep, `None` for never; with `unless_done`, not once a row is done."""

    most: int | None = None
    unless_done: bool = False
    gave_up: bool = False
    _in_a_row: int = 0
    _kind: str | None = None
    _any_done: bool = False

    @property
    def first(self) -> bool:
        """Whether the first failure is the last."""
        return self.most == 1

    def is_over(self, outcome: Outcome) -> bool:
        """Whether the sweep starts nothing more, now that this row has ended."""
        if outcome.status is not Status.FAILED:
            self._in_a_row = 0
            self._any_done = self._any_done or outcome.status is Status.DONE
            return self.gave_up
        kind = "" if outcome.error is None else outcome.error.kind
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        enough = self.most is not None and self._in_a_row >= self.most
        self.gave_up = self.gave_up or (enough and not (self.unless_done and self._any_done))
        return self.gave_up

    def note(self, not_run: int) -> str:
        """What there is to say about rows that were not run; nothing if it did not come to that."""
        if not self.gave_up or not not_run or self.first:
            return ""
        before = ", and no row was done" if self.unless_done else ""
        return (
            f"gave up after {self.most} equal failures in a row{before}: {not_run} rows were not run. "
            'Mend the cause and run it again; to try every row all the same, give on_error="continue"'
        )


def patience_for(on_error: OnError) -> Patience:
    """What `on_error` asks for; raises `ConfigError` if it is none of the choices."""
    if on_error == "stop":
        return Patience(1)
    if on_error == "continue":
        return Patience()
    if on_error == "raise":
        return Patience(USUAL, unless_done=True)
    if type(on_error) is int and on_error > 0:
        return Patience(on_error)
    raise ConfigError(
        f'on_error must be "raise", "continue", "stop", or a number of equal failures above 0, not {brief(on_error)}'
    )

"""What was edited while a sweep ran: its rows are of one flow text, but modules and data are read as each row runs.

So at the end it is looked at once more what the rows have used, each file once, and said which of them are already
out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import cast

from ductaflow_runtime.conductor.announcement import some
from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.files import FileState
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.why_stale import code_change, input_change, module_change
from ductaflow_runtime.terminal import say

_MOST_CAUSES = 5

# Part of the fingerprint, path, and what was there.
Used = tuple[str, str, tuple[tuple[str, object], ...]]


class EditedMeanwhile(Observer):
    """Remembers what the rows have used; says at the end what of it is no longer so."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rows: dict[Used, list[str]] = {}

    def ended(self, outcome: Outcome) -> None:
        """Remember what it has used."""
        record = outcome.record
        if record is not None and record.fingerprint is not None and record.status is Status.DONE:
            for used in _used(record.fingerprint):
                self._rows.setdefault(used, []).append(outcome.instance.name)

    def finished(self) -> None:
        """Say it."""
        text = self.text()
        if text:
            say(text)

    def text(self) -> str:
        """Which rows are already out of date, and why; nothing if none is."""
        present = Present(self._call.project)
        causes: dict[str, list[str]] = {}
        for used, rows in self._rows.items():
            for cause in self._causes(used, present):
                causes.setdefault(cause, []).extend(rows)
        if not causes:
            return ""
        stale = len(set(chain.from_iterable(causes.values())))
        are = "row is" if stale == 1 else "rows are"
        lines = [f"{self._call.step}: {stale} {are} already out of date, because of what changed while the sweep ran:"]
        ordered = sorted(causes.items(), key=lambda item: -len(item[1]))
        lines += [f"  {len(rows)}  {cause}  ({some(rows)})" for cause, rows in ordered[:_MOST_CAUSES]]
        if len(ordered) > _MOST_CAUSES:
            lines.append(f"  and {len(ordered) - _MOST_CAUSES} more reasons")
        return "\n".join([*lines, "  run the conductor again to execute them as things are now"])

    def _causes(self, used: Used, present: Present) -> Iterator[str]:
        part, path, was = used
        if part == "code":
            try:
                yield from code_change(CodeState([cell for cell, _ in was]), present.code(self._call.flow))
            except DuctaflowError as error:  # deleted, or no longer a flow
                yield next(iter(str(error).splitlines()), "code")
        else:
            state = cast("FileState", dict(was))
            yield from (module_change if part == "module" else input_change)(path, state, present)


def _used(seen: Fingerprint) -> Iterator[Used]:
    yield "code", "", tuple((cell, None) for cell in seen.code.cells)
    for part, files in (("module", seen.modules), ("input", seen.inputs)):
        for path, state in files.items():
            yield part, path, tuple(state.items())

"""What was edited while a sweep ran: its rows are of one flow text, but modules and data are read as each row runs.

So at the end it is looked at once more what the rows have used, each file once, and said which of them are already
out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.outdated import ADVICE, outdated
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.conductor.resting import lines_of
from ductaflow_runtime.errors import DuctaflowError
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.files import FileState
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.why_stale import code_change, input_change, module_change

# Part of the fingerprint, path, and what was there.
Used = tuple[str, str, tuple[tuple[str, object], ...]]


class EditedMeanwhile(Observer):
    """Remembers what the rows have used; knows at the end what of it is no longer so."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rows: dict[Used, list[str]] = {}
        self._causes: dict[str, list[str]] = {}

    def ended(self, outcome: Outcome) -> None:
        """Remember what it has used."""
        record = outcome.record
        if record is not None and record.fingerprint is not None and record.status is Status.DONE:
            for used in _used(record.fingerprint):
                self._rows.setdefault(used, []).append(outcome.instance.name)

    def finished(self) -> None:
        """Look at each file once more."""
        if not self._rows:
            return
        present = Present(self._call.project)
        for used, rows in self._rows.items():
            for cause in self._causes_of(used, present):
                self._causes.setdefault(cause, []).extend(rows)
        if current() is None:  # whoever runs a flow that runs this learns of it by that flow's row
            executed = {name for rows in self._rows.values() for name in rows}
            outdated.note(self._call.project.runs_dir, self._call.step, executed, self.causes)

    @property
    def causes(self) -> dict[str, str]:
        """Why rows are already out of date, by name."""
        found: dict[str, list[str]] = {}
        for cause, rows in self._causes.items():
            for name in rows:
                found.setdefault(name, []).append(cause)
        return {name: "; ".join(causes) for name, causes in found.items()}

    def text(self) -> str:
        """Which rows are already out of date, and why; nothing if none is."""
        if not self._causes:
            return ""
        stale = len(self.causes)
        are = "row is" if stale == 1 else "rows are"
        first = f"{self._call.step}: {stale} {are} already out of date, because of what changed while the sweep ran:"
        return "\n".join([first, *lines_of(self._causes), f"  {ADVICE}"])

    def line(self) -> str:
        """The same, of a call of one instance."""
        why = "because of what changed while it ran"
        told = [
            f"{self._call.step}/{name} is already out of date, {why}: {cause}" for name, cause in self.causes.items()
        ]
        return f"{told[0]}; run it again to execute it as things are now" if told else ""

    def _causes_of(self, used: Used, present: Present) -> Iterator[str]:
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

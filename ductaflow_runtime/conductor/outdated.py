"""Results of this process that are not up to date, while its conductor goes on: somebody edited meanwhile.

Whoever takes them for more than that is told: a next step that reads them, `load_results`, and at the end of the
process whoever watches.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from pathlib import Path

from ductaflow_runtime.execution.context import in_kernel
from ductaflow_runtime.terminal import say

ADVICE = "run the conductor again to execute them as things are now"


class Outdated:
    """The rows, by folder of results and step."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Path, str], dict[str, None]] = {}
        self._said: set[tuple[Path, str]] = set()
        self._process = 0

    def note(self, runs_dir: Path, step: str, seen: Iterable[str], outdated: Iterable[str]) -> None:
        """Remember which of the rows that have been looked at are out of date."""
        if self._process != os.getpid():  # the first time, or in a fork, which goes on with nothing of its parent's
            self._process = os.getpid()
            self._rows.clear()
            self._said.clear()
            if not in_kernel():  # whose end nobody sees
                atexit.register(self._tell, self._process)
        left = self._rows.pop((runs_dir, step), {}).keys() - set(seen)
        rows = dict.fromkeys([*sorted(left), *outdated])
        if rows:
            self._rows[runs_dir, step] = rows

    def of(self, runs_dir: Path, step: str) -> list[str]:
        """The rows of a step."""
        return list(self._rows.get((runs_dir, step), ()))

    def is_first(self, runs_dir: Path, step: str) -> bool:
        """Whether this is asked for the first time about a step whose rows come in calls of their own."""
        before = len(self._said)
        self._said.add((runs_dir, step))
        return len(self._said) > before

    def any_in(self, runs_dir: Path) -> bool:
        """Whether there are some in a folder of results."""
        return any(folder == runs_dir for folder, _ in self._rows)

    def _tell(self, process: int) -> None:
        if process == os.getpid() and self._rows:
            steps = [f"{len(rows)} of {step}" for (_, step), rows in self._rows.items()]
            say(f"rows that are not up to date as this ends: {', '.join(steps)}; {ADVICE}")


outdated = Outdated()  # a process has one end

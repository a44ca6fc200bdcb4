"""The status page `runs/index.html`, kept current while instances are executed."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.terminal import say

if TYPE_CHECKING:
    from ductaflow_runtime.status_page.build import PageWriter
    from ductaflow_runtime.status_page.stale_marks import Staleness

    Examine = Callable[[], Staleness]
    """Looks at what is up to date now; asked for the page that stays, not for those during a sweep."""


class LivePage:
    """The page of a sweep that executes something. A sweep does not fail for want of its page."""

    def __init__(self, runs_dir: Path, title: str, examine: Examine | None = None) -> None:
        self._writer = _writer(runs_dir, title)
        self._examine = examine
        self._complained = False

    def tick(self) -> None:
        """Rewrite the page if it is time to."""
        try:
            self._writer.write_if_due()
        except OSError as error:
            self._complain(error)

    def finish(self) -> None:
        """Write the page as it stays."""
        try:
            self._writer.staleness = self._examine() if self._examine is not None else None
            self._writer.write()
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            say(f"ductaflow: the status page could not be written: {error}")


class PagesAtExit:
    """Pages that this process still has to write when it ends."""

    def __init__(self) -> None:
        self._owed: dict[Path, tuple[str, Examine | None]] = {}
        self._process = 0

    def add(self, runs_dir: Path, title: str, examine: Examine | None) -> None:
        """Owe the page of `runs_dir`."""
        if self._process != os.getpid():  # the first time, or in a fork, which owes nothing of its parent's
            self._process = os.getpid()
            self._owed.clear()
            atexit.register(self._write, self._process)
        self._owed[runs_dir] = title, examine

    def _write(self, process: int) -> None:
        if process != os.getpid():
            return
        for runs_dir, (title, examine) in self._owed.items():
            if runs_dir.is_dir():
                LivePage(runs_dir, title, examine).finish()


_at_exit = PagesAtExit()  # the interpreter has one exit


def write_at_exit(runs_dir: Path, title: str, examine: Examine | None = None) -> None:
    """For single instances, such as in a plain loop: one page when this process ends, not one each time."""
    _at_exit.add(runs_dir, title, examine)


def _writer(runs_dir: Path, title: str) -> PageWriter:
    from ductaflow_runtime.status_page.build import PageWriter

    return PageWriter(runs_dir, title)

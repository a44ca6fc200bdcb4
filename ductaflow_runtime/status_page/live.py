"""The status page `runs/index.html`, kept current while instances are executed."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ductaflow_runtime.status_page.build import PageWriter


class LivePage:
    """The page of a sweep that executes something. A sweep does not fail for want of its page."""

    def __init__(self, runs_dir: Path, title: str) -> None:
        self._writer = _writer(runs_dir, title)
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
            self._writer.write()
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            print(f"ductaflow: the status page could not be written: {error}", file=sys.stderr)  # noqa: T201


class PagesAtExit:
    """Pages that this process still has to write when it ends."""

    def __init__(self) -> None:
        self._titles: dict[Path, str] = {}
        self._process = 0

    def add(self, runs_dir: Path, title: str) -> None:
        """Owe the page of `runs_dir`."""
        if self._process != os.getpid():  # the first time, or in a fork, which owes nothing of its parent's
            self._process = os.getpid()
            self._titles.clear()
            atexit.register(self._write, self._process)
        self._titles[runs_dir] = title

    def _write(self, process: int) -> None:
        if process != os.getpid():
            return
        for runs_dir, title in self._titles.items():
            if runs_dir.is_dir():
                LivePage(runs_dir, title).finish()


_at_exit = PagesAtExit()  # the interpreter has one exit


def write_at_exit(runs_dir: Path, title: str) -> None:
    """For single instances, such as in a plain loop: one page when this process ends, not one each time."""
    _at_exit.add(runs_dir, title)


def _writer(runs_dir: Path, title: str) -> PageWriter:
    from ductaflow_runtime.status_page.build import PageWriter

    return PageWriter(runs_dir, title)

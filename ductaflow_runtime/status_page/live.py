"""The status page `runs/index.html`, kept current while instances are executed."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.runs.state import look
from ductaflow_runtime.runs.states import Status

if TYPE_CHECKING:
    from ductaflow_runtime.status_page.build import PageWriter

_owed: dict[Path, str] = {}


class LivePage:
    """The page of a sweep that executes something."""

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


def write_at_exit(runs_dir: Path, title: str) -> None:
    """For single instances, such as in a plain loop: one page when this process ends, not one each time."""
    if not _owed:
        owner = os.getpid()
        atexit.register(lambda: _write_owed() if os.getpid() == owner else None)
    _owed[runs_dir] = title


def _write_owed() -> None:
    for runs_dir, title in _owed.items():
        if runs_dir.is_dir():
            LivePage(runs_dir, title).finish()


def _writer(runs_dir: Path, title: str) -> PageWriter:
    from ductaflow_runtime.status_page.build import PageWriter

    return PageWriter(runs_dir, title, is_alive=still_runs)


def still_runs(directory: Path, _stored: Mapping[str, Any]) -> bool:
    """Whether an instance that its record called running is executed at this moment, or has ended since."""
    seen = look(directory)
    return seen.record is not None and seen.state != Status.INTERRUPTED

"""One line for a sweep: counts, rate, remaining time. Quiet where nobody watches; failures always named."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import describe_failure
from ductaflow_runtime.execution.context import in_kernel
from ductaflow_runtime.runs.record import Outcome, Record

if TYPE_CHECKING:
    from tqdm.std import tqdm


class Progress:
    """The progress of one sweep."""

    def __init__(self, step: str, total: int, workers: int, quiet: bool) -> None:
        self._quiet = quiet
        self._total = total
        self._workers = workers
        self._done = self._failed = self._not_run = 0
        self._bar: tqdm[Any] | None = None if quiet else _bar(step, total)
        self._show()

    def add(self, record: Record) -> None:
        """One more instance has ended."""
        self._done += record.outcome is Outcome.DONE
        self._failed += record.outcome is Outcome.FAILED
        self._not_run += record.outcome is Outcome.NOT_RUN
        if record.outcome is Outcome.FAILED and not self._quiet:
            self._say(f"failed: {describe_failure(record)}")
        self._show()
        if self._bar is not None:
            self._bar.update(1)

    def close(self) -> None:
        """Leave the line as it is."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        if self._bar is not None:
            left = self._total - self._done - self._failed - self._not_run
            told = {"done": self._done, "failed": self._failed, "running": min(self._workers, left)}
            self._bar.set_postfix(told, refresh=False)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def _bar(step: str, total: int) -> tqdm[Any] | None:
    settings: dict[str, Any] = {"total": total, "desc": step, "unit": "instance", "dynamic_ncols": True}
    if in_kernel() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(**settings)
    if in_kernel() or (sys.stderr is not None and sys.stderr.isatty()):
        from tqdm.std import tqdm as terminal_bar

        return terminal_bar(**settings, file=sys.stderr)
    return None

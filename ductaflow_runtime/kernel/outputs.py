"""Where the output of cells goes: into the notebook, in the order in which a kernel would have sent it.

Printed text is collected until something else is shown. Now and then the cell is written to a journal, for
a process that is killed cannot save its notebook.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete

from ductaflow_runtime.kernel.capture import Capture, Log
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.shell import FlowKernel, encodable

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.staleness.tracking import Tracker

_LONGEST_STREAM = 10_000_000
_FLUSH_AT = 250_000
_TOO_LONG = "\n[more than 10 million characters: the rest of this cell's output is in run.log only]\n"
_SAVE_EVERY_S = 1.0


@dataclass
class Watch:
    """What goes on beside the cells: the log, the tracking, and a journal for the case of a sudden end.

    `at_end` is called after the last cell, with the function that lets go of the flow's variables; `failure`
    is the reply of the cell that ended the flow.
    """

    log: Log | None = None
    pipes: dict[str, tuple[int, int]] | None = None
    tracker: Tracker | None = None
    journal: Callable[[dict[str, Any]], None] | None = None
    expired: Callable[[], bool] = lambda: False
    at_end: Callable[[Callable[[], None]], None] | None = None
    failure: dict[str, Any] | None = None


class NullLog(Log):
    """Where there is no `run.log`."""

    def __init__(self) -> None:
        pass

    def feed(self, name: str, text: str, at_once: bool = False) -> None:
        """Nothing to keep."""

    def close(self) -> None:
        """Nothing to close."""


class Filing:
    """Files what the cell that is open shows and prints."""

    def __init__(self, watch: Watch, client: NotebookClient, kernel: FlowKernel) -> None:
        self.watch = watch
        self.client = client
        self.session = kernel.session
        self.capture = Capture(watch.log or NullLog(), self.text, watch.pipes)
        self._pending: list[tuple[str, str]] = []
        self._pending_size = 0
        self._streamed = 0
        self._cell: NotebookNode | None = None
        self._index = 0
        self._parent: dict[str, Any] = {}
        self._saved = self._began = time.monotonic()

    def open(self, cell: NotebookNode, index: int) -> None:
        """From now on, output belongs to this cell."""
        self._cell, self._index, self._streamed, self._began = cell, index, 0, time.monotonic()

    def begin(self, cell: NotebookNode, request: dict[str, Any]) -> None:
        """The cell is about to be executed for this request."""
        cell.metadata["execution"] = {}
        cell.outputs = []
        self.client.clear_before_next_output = False
        self.client.code_cells_executed += 1
        self._parent = request
        self.stamp("iopub.status.busy", "iopub.execute_input")

    def close(self) -> None:
        """What is printed from now on belongs to no cell."""
        self.session.receiver = None
        self._cell = None

    def stamp(self, *names: str) -> None:
        """Note this moment in the cell, under the names of a kernel's messages."""
        moment = timestamp(None)
        for name in names:
            self._cell.metadata["execution"][name] = moment  # type: ignore[union-attr]

    def text(self, name: str, text: str) -> None:
        """Printed text; called with the capture's lock held."""
        if self._streamed > _LONGEST_STREAM:
            return
        text = encodable(text) if not text.isascii() else text
        self._streamed += len(text)
        if self._streamed > _LONGEST_STREAM:
            text = text[: _LONGEST_STREAM - self._streamed] + _TOO_LONG
        if self._pending and self._pending[-1][0] != name:
            self.flush()
        self._pending.append((name, text))
        self._pending_size += len(text)
        if self._pending_size > _FLUSH_AT:
            self.flush()
        self._journal_now_and_then()

    def flush(self) -> None:
        """File the printed text that has come together."""
        with self.capture.lock:
            if not self._pending:
                return
            content = {"name": self._pending[0][0], "text": "".join(text for _, text in self._pending)}
            self._pending, self._pending_size = [], 0
            self._file(self.session.msg("stream", content, parent=self._parent))

    def receive(self, message: dict[str, Any]) -> None:
        """A message from the shell; those of a process forked by a cell have nowhere to go."""
        if not self.capture.is_owner():
            return
        with INTERRUPTS.held(), self.capture.lock:
            self.capture.drain()
            self.flush()
            if message["msg_type"] == "error" and self.watch.log is not None:
                self.watch.log.feed("stderr", "\n".join(message["content"]["traceback"]) + "\n")
            self._file(message)
            self._journal_now_and_then()

    def broken_off(self) -> dict[str, Any]:
        """The reply to a cell that was interrupted before or after its own code ran."""
        error = {"ename": "KeyboardInterrupt", "evalue": "", "traceback": ["KeyboardInterrupt"]}
        self.receive(self.session.msg("error", error, parent=self._parent))
        return {"status": "error", **error}

    def leave_copies(self) -> None:
        """A copy of this process that a cell forked ends here: the notebook is not its business."""
        if not self.capture.is_owner():
            os._exit(0)

    def journal(self, entry: dict[str, Any]) -> None:
        """Tell the worker something."""
        if self.watch.journal is not None:
            self.watch.journal(entry)

    def journal_cell(self) -> None:
        """Tell the worker what the cell holds."""
        with self.capture.lock:
            self._saved = time.monotonic()
            self.journal({"index": self._index, "cell": self._cell})

    def _journal_now_and_then(self) -> None:
        # Ever more rarely, since each time the whole cell is written.
        moment = time.monotonic()
        if self._cell is not None and moment - self._saved > max(_SAVE_EVERY_S, (moment - self._began) / 10):
            self.flush()
            self.journal_cell()

    def _file(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(CellExecutionComplete):
            if self._cell is not None:
                self.client.process_message(message, self._cell, self._index)

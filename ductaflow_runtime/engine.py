"""Runs the cells of a notebook in this very process, on ipykernel's own shell.

A Jupyter kernel is a shell plus sockets. Here the shell's messages go straight to nbclient's output
handling, so that the notebook holds what a kernel would have stored, without a kernel to start.
Meant for a process that ends with the notebook: it replaces this process's output streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete, CellExecutionError

from ductaflow_runtime.shell import build_kernel, encodable
from ductaflow_runtime.streams import NAMES, Capture, FlowStream, Log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

    from ductaflow_runtime.tracking import Tracker

_LONGEST_STREAM = 10_000_000
_FLUSH_AT = 250_000
_TOO_LONG = "\n[more than 10 million characters: the rest of this cell's output is in run.log only]\n"
_SAVE_EVERY_S = 1.0
_REQUEST: dict[str, Any] = {"silent": False, "store_history": True, "user_expressions": {}}


@dataclass
class Watch:
    """What goes on beside the cells: the log, the tracking, and a journal for the case of a sudden end."""

    log: Log | None = None
    pipes: dict[str, tuple[int, int]] | None = None
    tracker: Tracker | None = None
    journal: Callable[[dict[str, Any]], None] | None = None
    expired: Callable[[], bool] = lambda: False


class NullLog(Log):
    """Where there is no `run.log`."""

    def __init__(self) -> None:
        pass

    def feed(self, name: str, text: str, at_once: bool = False) -> None:
        """Nothing to keep."""

    def close(self) -> None:
        """Nothing to close."""


class CellRunner:
    """Runs the cells of one notebook and files their outputs."""

    def __init__(self, nb_man: NotebookExecutionManager, watch: Watch) -> None:
        self.manager = nb_man
        self.watch = watch
        self.kernel = build_kernel()
        self.shell: Any = self.kernel.shell
        self.client = NotebookClient(nb_man.nb, kernel_name="python3", log=self.kernel.log)
        self.client.reset_execution_trackers()
        self.capture = Capture(watch.log or NullLog(), self._text, watch.pipes)
        self._pending: list[tuple[str, str]] = []
        self._pending_size = 0
        self._streamed = 0
        self._cell: NotebookNode | None = None
        self._index = 0
        self._parent: dict[str, Any] = {}
        self._saved = time.monotonic()

    def run(self) -> None:
        """All cells, in one event loop, as a kernel would have it."""
        streams = sys.stdout, sys.stderr
        self.shell.user_ns["_dh"][:] = [os.getcwd()]
        self.capture.start()
        sys.stdout, sys.stderr = (FlowStream(name, self.capture) for name in NAMES)
        faulthandler.enable(2)
        self.kernel.session.receiver = self._receive
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._run_cells())
        finally:
            self.kernel.session.receiver = None
            for task in asyncio.all_tasks(loop):
                task.cancel()
            faulthandler.disable()
            sys.stdout, sys.stderr = streams
            self.capture.stop()
        self.client.set_widgets_metadata()
        self.manager.nb.metadata["language_info"] = dict(self.kernel.language_info)

    async def _run_cells(self) -> None:
        self._journal({"notebook": self.manager.nb})
        for index, cell in enumerate(self.manager.nb.cells):
            try:
                self.manager.cell_start(cell, index)
                await self._run_cell(cell, index)
            except CellExecutionError as error:
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                break
            finally:
                self.manager.cell_complete(cell, cell_index=index)
                self._journal_cell()
            if self.shell.exit_requested or self.watch.expired():
                break

    async def _run_cell(self, cell: NotebookNode, index: int) -> None:
        self._cell, self._index, self._streamed = cell, index, 0
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.client.skip_cells_with_tag in tags:
            return
        cell.metadata["execution"] = {}
        cell.outputs = []
        self.client.clear_before_next_output = False
        self.client.code_cells_executed += 1
        content = {"code": cell.source, **_REQUEST, "allow_stdin": False, "stop_on_error": True}
        request = self.kernel.session.msg("execute_request", content)
        self._parent = request
        self.kernel.set_parent([], request)
        self._stamp("iopub.status.busy", "iopub.execute_input")
        cell.execution_count = self.kernel.execution_count
        self._journal_cell()
        reply = await self._execute(cell.source)
        self._flush()
        self._stamp("shell.execute_reply", "iopub.status.idle")
        tidy_streams(cell)
        if reply["status"] == "error" and "raises-exception" not in tags:
            raise CellExecutionError.from_cell_and_msg(cell, reply)

    async def _execute(self, source: str) -> dict[str, Any]:
        tracker = self.watch.tracker
        if tracker is not None:
            tracker.active = True
        try:
            reply: dict[str, Any] = await self.kernel.do_execute(source, **_REQUEST, allow_stdin=False)
            await asyncio.sleep(0)  # tasks that the cell started may take a step, as in a kernel
        finally:
            if tracker is not None:
                tracker.active = False
        self.capture.drain()
        return reply

    def _stamp(self, *names: str) -> None:
        moment = timestamp(None)
        for name in names:
            self._cell.metadata["execution"][name] = moment  # type: ignore[union-attr]

    def _text(self, name: str, text: str) -> None:
        """Printed text, collected until something else is shown; called with the capture's lock held."""
        if self._streamed > _LONGEST_STREAM:
            return
        text = encodable(text) if not text.isascii() else text
        self._streamed += len(text)
        if self._streamed > _LONGEST_STREAM:
            text = text[: _LONGEST_STREAM - self._streamed] + _TOO_LONG
        if self._pending and self._pending[-1][0] != name:
            self._flush()
        self._pending.append((name, text))
        self._pending_size += len(text)
        if self._pending_size > _FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        """File the printed text that has come together."""
        with self.capture.lock:
            if not self._pending:
                return
            content = {"name": self._pending[0][0], "text": "".join(text for _, text in self._pending)}
            self._pending, self._pending_size = [], 0
            self._file(self.kernel.session.msg("stream", content, parent=self._parent))

    def _receive(self, message: dict[str, Any]) -> None:
        """A message from the shell; those of a process forked by a cell have nowhere to go."""
        if not self.capture.is_owner():
            return
        with self.capture.lock:
            self.capture.drain()
            self._flush()
            if message["msg_type"] == "error" and self.watch.log is not None:
                self.watch.log.feed("stderr", "\n".join(message["content"]["traceback"]) + "\n")
            self._file(message)
            if time.monotonic() - self._saved > _SAVE_EVERY_S:
                self._journal_cell()

    def _file(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(CellExecutionComplete):
            if self._cell is not None:
                self.client.process_message(message, self._cell, self._index)

    def _journal(self, entry: dict[str, Any]) -> None:
        if self.watch.journal is not None:
            self.watch.journal(entry)

    def _journal_cell(self) -> None:
        self._saved = time.monotonic()
        self._journal({"index": self._index, "cell": self._cell})


def tidy_streams(cell: NotebookNode) -> None:
    """A progress bar leaves its last state, not each of its thousand states."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and "\r" in output.text:
            output.text = settle(output.text)


def settle(text: str) -> str:
    """Text as a terminal would show it in the end: what `\\r` overwrote is gone."""
    return "\n".join(_overlaid(line) for line in text.split("\n"))


def _overlaid(line: str) -> str:
    shown = ""
    for piece in line.rstrip("\r").split("\r"):
        shown = piece + shown[len(piece) :]
    return shown + ("\r" if line.endswith("\r") else "")


def save_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write an executed notebook."""
    from nbformat.v4 import nbjson

    from ductaflow_runtime.record import write_atomically

    write_atomically(path, nbjson.writes(notebook) + "\n")

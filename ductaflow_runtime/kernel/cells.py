"""Runs the cells of a notebook in this very process, on ipykernel's own shell.

A Jupyter kernel is a shell plus sockets. Here the shell's messages go straight to nbclient's output
handling, so that the notebook holds what a kernel would have stored, without a kernel to start.
Meant for a process that ends with the notebook: it replaces this process's output streams.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ductaflow_runtime.kernel.capture import NAMES, FlowStream
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.outputs import Filing, Watch
from ductaflow_runtime.kernel.shell import build_kernel

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

_REQUEST: dict[str, Any] = {"silent": False, "store_history": True, "user_expressions": {}}


class CellRunner:
    """Runs the cells of one notebook, one after the other."""

    def __init__(self, nb_man: NotebookExecutionManager, watch: Watch) -> None:
        self.manager = nb_man
        self.watch = watch
        self.kernel = build_kernel()
        shell: Any = self.kernel.shell
        if shell.execution_count > 1 or shell.exit_requested:
            shell.reset()  # another notebook was executed in this process
            shell.exit_requested = False
        self.shell = shell
        self.client = NotebookClient(nb_man.nb, kernel_name="python3", log=self.kernel.log)
        self.client.reset_execution_trackers()
        self.filing = Filing(watch, self.client, self.kernel)

    def run(self) -> None:
        """All cells, in one event loop, as a kernel would have it."""
        streams = sys.stdout, sys.stderr
        capture = self.filing.capture
        self.shell.user_ns["_dh"][:] = [os.getcwd()]
        capture.start()
        sys.stdout, sys.stderr = (FlowStream(name, capture) for name in NAMES)
        faulthandler.enable(2)
        self.kernel.session.receiver = self.filing.receive
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._run_cells())
        finally:
            self.filing.close()
            _abandon_tasks(loop)
            try:
                self._end_program()
            finally:
                faulthandler.disable()
                sys.stdout, sys.stderr = streams
                capture.stop()
        self.client.set_widgets_metadata()
        self.manager.nb.metadata["language_info"] = dict(self.kernel.language_info)

    def _end_program(self) -> None:
        """What a script does at its end; what is printed now goes into the log only."""
        if self.watch.at_end is not None:
            with INTERRUPTS.allowed():
                self.watch.at_end(lambda: self.shell.reset(new_session=False))

    async def _run_cells(self) -> None:
        self.filing.journal({"notebook": self.manager.nb})
        for index, cell in enumerate(self.manager.nb.cells):
            try:
                self.manager.cell_start(cell, index)
                self.filing.open(cell, index)
                await self._run_cell(cell)
            except CellExecutionError as error:
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                break
            except BaseException as error:
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                raise
            finally:
                self.manager.cell_complete(cell, cell_index=index)
                self.filing.journal_cell()
            if self.shell.exit_requested or self.watch.expired():
                break

    async def _run_cell(self, cell: NotebookNode) -> None:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.client.skip_cells_with_tag in tags:
            return
        content = {"code": cell.source, **_REQUEST, "allow_stdin": False, "stop_on_error": True}
        request = self.kernel.session.msg("execute_request", content)
        self.kernel.set_parent([], request)
        self.filing.begin(cell, request)
        cell.execution_count = self.kernel.execution_count
        self.filing.journal_cell()
        reply = await self._execute(cell.source)
        self.filing.flush()
        self.filing.stamp("shell.execute_reply", "iopub.status.idle")
        tidy_streams(cell)
        if reply["status"] == "error" and "raises-exception" not in tags:
            self.watch.failure = reply
            raise CellExecutionError.from_cell_and_msg(cell, reply)

    async def _execute(self, source: str) -> dict[str, Any]:
        tracker = self.watch.tracker
        if tracker is not None:
            tracker.active = True
        reply: dict[str, Any]
        try:
            with INTERRUPTS.allowed():
                reply = await self.kernel.do_execute(source, **_REQUEST, allow_stdin=False)
                await asyncio.sleep(0)  # tasks that the cell started may take a step, as in a kernel
        except KeyboardInterrupt:
            reply = self.filing.broken_off()
        finally:
            if tracker is not None:
                tracker.active = False
        self.filing.leave_copies()
        self.filing.capture.drain()
        return reply


def _abandon_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """What the cells left running ends here, without a complaint when its memory is freed."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        task._log_destroy_pending = False  # type: ignore[attr-defined]


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

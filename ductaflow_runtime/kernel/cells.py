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
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import from_dict

from ductaflow_runtime.kernel.capture import NAMES, FlowStream
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.outputs import Outputs
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.kernel.watch import Executed, Watch

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

_REQUEST: dict[str, Any] = {"silent": False, "user_expressions": {}}
_INJECTED = "injected-parameters"


class CellRunner:
    """Runs the cells of one notebook, one after the other."""

    def __init__(self, nb_man: NotebookExecutionManager, watch: Watch) -> None:
        self.manager = nb_man
        self.watch = watch
        self.kernel = build_kernel()
        shell: Any = self.kernel.shell
        if watch.executed is None and (shell.execution_count > 1 or shell.exit_requested):
            shell.reset()  # another notebook was executed in this process
            shell.exit_requested = False
        self.shell = shell
        self.client = NotebookClient(nb_man.nb, kernel_name="python3", log=self.kernel.log)
        self.client.reset_execution_trackers()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.outputs = Outputs(watch, self.client, self.kernel)

    def run(self) -> None:
        """All cells, in one event loop, as a kernel would have it; then the end of the program."""
        self.shell.user_ns["_dh"][:] = [os.getcwd()]
        with self._captured():
            loop = self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            try:
                loop.run_until_complete(loop.create_task(self._run_cells(), context=self.watch.context))
            finally:
                self.outputs.close()
                _abandon_tasks(loop)
                with INTERRUPTS.allowed():
                    # What is printed now goes into the log only.
                    self.watch.at_end(lambda: self.shell.reset(new_session=False))
        self.client.set_widgets_metadata()
        self.manager.nb.metadata["language_info"] = dict(self.kernel.language_info)

    @contextlib.contextmanager
    def _captured(self) -> Iterator[None]:
        """While all that this process prints and shows goes to `outputs`."""
        streams = sys.stdout, sys.stderr
        capture = self.outputs.capture
        capture.start()
        sys.stdout, sys.stderr = (FlowStream(name, capture) for name in NAMES)
        faulthandler.enable(2)  # what a crash in C code says goes to the log too
        self.kernel.session.receiver = self.outputs.receive
        try:
            yield
        finally:
            faulthandler.disable()
            sys.stdout, sys.stderr = streams
            capture.stop()

    def displays(self) -> dict[str, dict[str, list[int]]]:
        """Of each display that may be updated later, which outputs of which cells, by id, show it."""
        cells = self.manager.nb.cells
        known = self.client._display_id_map.items()
        return {name: {cells[index]["id"]: list(places) for index, places in shown.items()} for name, shown in known}

    async def _run_cells(self) -> None:
        self.watch.journal({"notebook": self.manager.nb})
        for index, cell in enumerate(self.manager.nb.cells):
            if self.watch.executed is not None and cell["id"] in self.watch.executed.cells:
                if self._take_over(cell, index, self.watch.executed):
                    continue
                break
            try:
                self.manager.cell_start(cell, index)
                self.outputs.open(cell, index)
                await self._run_cell(cell)
            except CellExecutionError as error:
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                break
            except BaseException as error:
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                raise
            finally:
                self._complete(cell, index)
                self.outputs.tell()
            if self.shell.exit_requested or self.watch.is_over():
                break

    def _complete(self, cell: NotebookNode, index: int) -> None:
        # Without the start, papermill does not work out the duration: it takes a parser of times of any form to it.
        told = cell.metadata.papermill
        start = told.pop("start_time", None)
        self.manager.cell_complete(cell, cell_index=index)
        if start:
            told.start_time = start
            taken = datetime.fromisoformat(told.end_time) - datetime.fromisoformat(start)
            told.duration = taken.total_seconds()

    def _take_over(self, cell: NotebookNode, index: int, executed: Executed) -> bool:
        """The cell as it was left when this process executed it; whether the notebook goes on after it."""
        cell.update(from_dict(executed.cells[cell["id"]]))
        for display_id, shown in executed.displays.items():
            if cell["id"] in shown:
                self.client._display_id_map.setdefault(display_id, {})[index] = list(shown[cell["id"]])
        self.watch.journal({"index": index, "cell": cell})
        if executed.reply is None or cell["id"] != list(executed.cells)[-1]:
            return True
        self.watch.on_error(executed.reply)
        error = CellExecutionError.from_cell_and_msg(cell, executed.reply)
        self.manager.cell_exception(cell, cell_index=index, exception=error)
        return False

    async def _run_cell(self, cell: NotebookNode) -> None:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.client.skip_cells_with_tag in tags:
            return
        counts = _INJECTED not in tags  # papermill's cell is not one of the flow's: In[5] is the flow's fifth
        asked = {**_REQUEST, "store_history": counts}
        content = {"code": cell.source, **asked, "allow_stdin": False, "stop_on_error": True}
        request = self.kernel.session.msg("execute_request", content)
        self.kernel.set_parent([], request)
        self.outputs.begin(cell, request)
        cell.execution_count = self.kernel.execution_count if counts else None
        self.outputs.tell()
        reply = await self._execute(cell.source, asked)
        if not counts:
            cell.execution_count = None
        self.outputs.flush()
        self.outputs.answer()
        self.outputs.stamp("shell.execute_reply", "iopub.status.idle")
        tidy_streams(cell)
        if reply["status"] == "error" and "raises-exception" not in tags:
            self.watch.on_error(reply)
            raise CellExecutionError.from_cell_and_msg(cell, reply)

    async def _execute(self, source: str, asked: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any]
        try:
            with self.watch.own_code(), INTERRUPTS.allowed():
                reply = await self.kernel.do_execute(source, **asked, allow_stdin=False)
                await asyncio.sleep(0)  # tasks that the cell started may take a step, as in a kernel
        except KeyboardInterrupt:
            reply = self.outputs.broken_off()
        if not self.outputs.capture.is_owner():
            os._exit(0)  # a copy of this process that the cell forked: the notebook is not its business
        self.outputs.capture.drain()
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

"""Where the output of cells goes: into the notebook, in the order in which a kernel would have sent it.

Printed text is collected until something else is shown. Now and then the cell is written to a journal, for
a process that is killed cannot save its notebook.
"""

from __future__ import annotations

import contextlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete

from ductaflow_runtime.kernel.capture import Capture
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.shell import FlowKernel, encodable
from ductaflow_runtime.kernel.watch import Watch

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LONGEST_STREAM = 10_000_000
_FLUSH_AT = 250_000
_TOO_LONG = "\n[more than 10 million characters: the rest of this cell's output is in run.log only]\n"
_SAVE_EVERY_S = 1.0


class PrintedText:
    """What the open cell has printed and what is not in the notebook yet: text of one stream."""

    def __init__(self) -> None:
        self.name = ""
        self._pieces: list[str] = []
        self._size = 0
        self._of_cell = 0

    def begin_cell(self) -> None:
        """A cell has its whole length to print."""
        self._of_cell = 0

    def add(self, name: str, text: str) -> None:
        """Add printed text, as long as the cell has not printed too much."""
        if self._of_cell > _LONGEST_STREAM:
            return
        text = encodable(text) if not text.isascii() else text
        self._of_cell += len(text)
        if self._of_cell > _LONGEST_STREAM:
            text = text[: _LONGEST_STREAM - self._of_cell] + _TOO_LONG
        self.name = name
        self._pieces.append(text)
        self._size += len(text)

    def is_of_other(self, name: str) -> bool:
        """Whether text of another stream comes first."""
        return bool(self._pieces) and self.name != name

    def is_much(self) -> bool:
        """Whether it is time to file it."""
        return self._size > _FLUSH_AT

    def take(self) -> str | None:
        """The text, which is then no longer here; `None` without any."""
        if not self._pieces:
            return None
        text = "".join(self._pieces)
        self._pieces, self._size = [], 0
        return text


class Outputs:
    """Files what the cell that is open shows and prints; `capture` catches what is printed."""

    def __init__(self, watch: Watch, client: NotebookClient, kernel: FlowKernel) -> None:
        self.watch = watch
        self.client = client
        self.session = kernel.session
        self.capture = Capture(self.print, watch.pipes)
        self._comms: Any = kernel.comm_manager
        self._replies: list[dict[str, Any]] = []
        # What nbclient says as a frontend, for one that shows an `Output` widget tells the kernel what is in it.
        client.kc = SimpleNamespace(  # type: ignore[assignment]
            session=kernel.session, shell_channel=SimpleNamespace(send=self._replies.append)
        )
        self._printed = PrintedText()
        self._cell: NotebookNode | None = None
        self._index = 0
        self._parent: dict[str, Any] = {}
        self._told = self._began = time.monotonic()

    def open(self, cell: NotebookNode, index: int) -> None:
        """From now on, output belongs to this cell."""
        self._cell, self._index, self._began = cell, index, time.monotonic()
        self._printed.begin_cell()

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

    def print(self, name: str, text: str, at_once: bool) -> None:
        """Printed text; called with the capture's lock held."""
        if self.watch.log is not None:
            self.watch.log.feed(name, text, at_once)
        if not text:
            return
        if self._printed.is_of_other(name):
            self.flush()
        self._printed.add(name, text)
        if self._printed.is_much():
            self.flush()
        self._tell_now_and_then()

    def flush(self) -> None:
        """File the printed text that has come together."""
        with self.capture.lock:
            text = self._printed.take()
            if text is not None:
                content = {"name": self._printed.name, "text": text}
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
            self._tell_now_and_then()

    def answer(self) -> None:
        """Let the kernel have what the frontend has said meanwhile: between two cells, as a busy kernel would."""
        receiver, self.session.receiver = self.session.receiver, None  # it belongs to no cell, and a client drops it
        try:
            while self._replies:
                reply = self._replies.pop(0)
                content = self.session.carried(reply["content"])
                self._comms.comm_msg(None, None, {**reply, "content": content, "buffers": []})
        finally:
            self.session.receiver = receiver

    def broken_off(self) -> dict[str, Any]:
        """The reply to a cell that was interrupted before or after its own code ran."""
        error = {"ename": "KeyboardInterrupt", "evalue": "", "traceback": ["KeyboardInterrupt"]}
        self.receive(self.session.msg("error", error, parent=self._parent))
        return {"status": "error", **error}

    def tell(self) -> None:
        """Write down what the cell holds."""
        with self.capture.lock:
            self._told = time.monotonic()
            self.watch.journal({"index": self._index, "cell": self._cell})

    def _tell_now_and_then(self) -> None:
        # Ever more rarely, since each time the whole cell is written.
        moment = time.monotonic()
        if self._cell is not None and moment - self._told > max(_SAVE_EVERY_S, (moment - self._began) / 10):
            self.flush()
            self.tell()

    def _file(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(CellExecutionComplete):
            if self._cell is not None:
                self.client.process_message(message, self._cell, self._index)

"""ipykernel's own shell and kernel, without sockets: what is left of a Jupyter kernel when nobody is far away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
from types import SimpleNamespace
from typing import Any

import ipykernel.zmqshell
from ipykernel.ipkernel import IPythonKernel
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Message, Session
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets import Any as AnyTrait
from traitlets import Instance
from traitlets.config import Config as TraitConfig


class DirectSession(Session):
    """A kernel session whose messages are handed to a function instead of a socket."""

    receiver = AnyTrait(None, allow_none=True)

    def send(
        self,
        stream: object,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: object = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        """Hand the message on, as JSON would have carried it."""
        if isinstance(msg_or_type, (Message, dict)):
            message: dict[str, Any] = dict(msg_or_type)  # type: ignore[arg-type]
            buffers = buffers or message.get("buffers")
        else:
            message = self.msg(msg_or_type, content=content, parent=parent, header=header, metadata=metadata)
        if self.receiver is not None:
            try:
                message["content"] = self.unpack(self.pack(message["content"]))
            except UnicodeEncodeError:  # a lone surrogate, as in a file name that is not UTF-8
                text = json.dumps(message["content"], default=json_default, ensure_ascii=False)
                message["content"] = json.loads(encodable(text))
            message["buffers"] = [bytes(memoryview(buffer)) for buffer in buffers or ()]
            self.receiver(message)
        return message


class ZMQInteractiveShell(ipykernel.zmqshell.ZMQInteractiveShell):
    """A kernel's shell. It keeps its class name, by which libraries tell a notebook from a terminal."""

    __module__ = "ipykernel.zmqshell"
    exit_requested = False

    def ask_exit(self) -> None:
        """`exit()` ends the flow after this cell; there is no kernel to shut down."""
        self.exit_requested = True

    def enable_gui(self, gui: Any = None) -> None:
        """Figures are drawn inline; there is no window system to serve."""
        self.active_eventloop = gui


class FlowKernel(IPythonKernel):
    """A kernel without sockets."""

    session: DirectSession = Instance(DirectSession)  # type: ignore[assignment]

    @property
    def io_loop(self) -> Any:  # type: ignore[override]
        """The loop that the cells run in; most flows never ask for it."""
        from tornado.ioloop import IOLoop

        return IOLoop.current()


_kernel: FlowKernel | None = None


def draw_inline() -> None:
    """Let matplotlib draw into the notebook; before anything imports it, or the first figure is lost."""
    if not os.environ.get("MPLBACKEND"):
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates replaced."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def build_kernel() -> FlowKernel:
    """The kernel of this process; built ahead in a worker, so that forked children start with it."""
    global _kernel
    if _kernel is not None:
        return _kernel
    log = logging.getLogger("ductaflow.kernel")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    settings = TraitConfig()
    settings.HistoryManager.hist_file = ":memory:"
    settings.IPKernelApp.tqdm = "notebook widgets need this key to exist"
    with _without_debugger():
        kernel: FlowKernel = FlowKernel.instance(
            config=settings,
            user_ns=None,
            session=DirectSession(key=b"", check_pid=False),
            shell_class=ZMQInteractiveShell,
            log=log,
        )
    kernel.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())
    kernel.iopub_socket = object()
    kernel.shell.extension_manager.load_extension("storemagic")  # type: ignore[union-attr]
    kernel.shell.display_formatter.format(0)  # type: ignore[union-attr] # builds what every child needs
    client = NotebookClient(NotebookNode(cells=[], metadata={}), kernel_name="python3", log=log)
    client.reset_execution_trackers()
    kernel.session.msg("status", {})
    _run_nothing(kernel)
    _kernel = kernel
    return kernel


def _run_nothing(kernel: FlowKernel) -> None:
    """One silent cell, so that what the first cell of all sets up is there when a child is forked."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(kernel.do_execute("pass", silent=True, store_history=False))
    finally:
        loop.close()


@contextlib.contextmanager
def _without_debugger() -> Any:
    """Keep the kernel from importing debugpy, which nobody can attach to here."""
    name = "ipykernel.debugger"
    known = sys.modules.get(name)
    sys.modules[name] = SimpleNamespace(_is_debugpy_available=False, Debugger=object)  # type: ignore[assignment]
    try:
        yield
    finally:
        if known is None:
            del sys.modules[name]
        else:
            sys.modules[name] = known

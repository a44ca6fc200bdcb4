"""ipykernel's own shell and kernel, without sockets: what is left of a Jupyter kernel when nobody is far away."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
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

    # A trait, for a session is configured by traits; while there is nobody to receive, messages go nowhere.
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
            message["content"] = self.carried(message["content"])
            message["buffers"] = [bytes(memoryview(buffer)) for buffer in buffers or ()]
            self.receiver(message)
        return message

    def carried(self, content: Any) -> Any:
        """To JSON and back: tuples become lists, keys become text, and nobody shares the object."""
        try:
            return self.unpack(self.pack(content))
        except UnicodeEncodeError:  # a lone surrogate, as in a file name that is not UTF-8
            return json.loads(encodable(json.dumps(content, default=json_default, ensure_ascii=False)))


class ZMQInteractiveShell(ipykernel.zmqshell.ZMQInteractiveShell):
    """A kernel's shell. It keeps its class name, by which libraries tell a notebook from a terminal."""

    # Some libraries look at the class's module as well as at its name.
    __module__ = "ipykernel.zmqshell"
    exit_requested = False

    def ask_exit(self) -> None:
        """`exit()` ends the flow after this cell; there is no kernel to shut down."""
        self.exit_requested = True

    def enable_gui(self, gui: Any = None) -> None:
        """Figures are drawn inline; there is no window system to serve."""
        # ipykernel would look for the kernel in its application, and `%matplotlib inline` fail, for there is none.
        self.active_eventloop = gui


class FlowKernel(IPythonKernel):
    """A kernel without sockets."""

    # Declared anew: ipykernel's trait would take a plain Session as well, which sends to sockets.
    session: DirectSession = Instance(DirectSession)  # type: ignore[assignment]

    @property
    def io_loop(self) -> Any:  # type: ignore[override]
        """The loop that the cells run in; most flows never ask for it."""
        # ipykernel sets it as a kernel begins to listen, which this one never does; it is needed when SIGINT
        # comes within an `await`.
        from tornado.ioloop import IOLoop

        return IOLoop.current()


def draw_inline() -> None:
    """Let matplotlib draw into the notebook; before anything imports it, or the first figure is lost."""
    if not os.environ.get("MPLBACKEND"):
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates replaced."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


@functools.cache  # a process has one shell: that is how IPython's own calls (`get_ipython`, `display`) find it
def build_kernel() -> FlowKernel:
    """The kernel of this process; built ahead in a worker, so that forked children start with it."""
    with _without_debugger():
        kernel: FlowKernel = FlowKernel.instance(
            config=_settings(),
            user_ns=None,
            # No key, since nothing is signed; a forked child has another process id than the session was made in.
            session=DirectSession(key=b"", check_pid=False),
            shell_class=ZMQInteractiveShell,
            log=_silent_log(),
        )
    # `do_execute` lets SIGINT end an `await` only in the thread that the shell's channel belongs to.
    kernel.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())
    # Widgets and other comms send for themselves, and name it; our session does not look at it.
    kernel.iopub_socket = object()
    # A kernel started by Jupyter loads this extension, so flows may use `%store`.
    kernel.shell.extension_manager.load_extension("storemagic")  # type: ignore[union-attr]
    _do_once_what_every_child_needs(kernel)
    return kernel


def _settings() -> TraitConfig:
    settings = TraitConfig()
    # Children must not write into the user's own history, nor wait for each other at its file.
    settings.HistoryManager.hist_file = ":memory:"
    # tqdm takes this process for a notebook only if the kernel's application has a section in the config.
    settings.IPKernelApp.tqdm = "notebook widgets need this key to exist"
    return settings


def _silent_log() -> logging.Logger:
    """ipykernel needs a logger, and would else take the application's; none of what it says is the flow's."""
    log = logging.getLogger("ductaflow.kernel")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    return log


def _do_once_what_every_child_needs(kernel: FlowKernel) -> None:
    """First uses set up much that lasts; done before the fork, no child pays for it."""
    kernel.shell.display_formatter.format(0)  # type: ignore[union-attr]
    client = NotebookClient(NotebookNode(cells=[], metadata={}), kernel_name="python3", log=kernel.log)
    client.reset_execution_trackers()
    kernel.session.msg("status", {})
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(kernel.do_execute("pass", silent=True, store_history=False))
    finally:
        loop.close()


@contextlib.contextmanager
def _without_debugger() -> Iterator[None]:
    """Keep the kernel from importing debugpy, which nobody can attach to here, and which takes long to import."""
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

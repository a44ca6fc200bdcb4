"""How a process of the pool begins: `python -m ductaflow_runtime.worker`, a worker, a base of workers, or a child."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
from pathlib import Path

from ductaflow_runtime.kernel.papermill_import import import_papermill
from ductaflow_runtime.kernel.shell import draw_inline
from ductaflow_runtime.worker.base import Base
from ductaflow_runtime.worker.child import Child, run_child
from ductaflow_runtime.worker.commands import Commands
from ductaflow_runtime.worker.preload import Preloader, preload_runtime
from ductaflow_runtime.worker.process import NOTE
from ductaflow_runtime.worker.server import Server
from ductaflow_runtime.worker.watcher import ending_with, inherit_orphans, leave, open_owner


def main(arguments: list[str]) -> None:
    """Serve until the parent goes away: jobs, or as `--base` workers; or, as `--child`, execute the one job given."""
    draw_inline()
    role, *rest = arguments
    import_papermill()  # before anything else does
    if role == "--child":
        _collect_garbage()
        run_child(Child.from_text(sys.stdin.readline()))
        return
    scratch = Path(rest[0] if role == "--base" else role)
    commands, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what an import prints must not end up among the replies
    _ignore_interrupts()
    _hear_of_children()
    parent = open_owner(scratch)
    with ending_with(parent, scratch, [commands, replies]):
        preload_runtime()
    _collect_garbage()
    with contextlib.suppress(SystemExit):
        _serve(role, scratch, commands, replies, parent)
    leave(0)  # what packages and shared cells registered for the end is the instances'


def _serve(role: str, scratch: Path, commands: int, replies: int, parent: int | None) -> None:
    try:
        if role == "--base":
            os.close(replies)
            Base(scratch, commands, parent).run()
        else:
            inherit_orphans()
            Server(scratch, Commands(commands, parent), replies, Preloader(scratch / NOTE)).run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # if the parent was killed, nobody else does


def _collect_garbage() -> None:
    """From now on, as in any Python, but not among what is imported."""
    gc.freeze()
    gc.enable()


def _hear_of_children() -> None:
    """Whoever started the conductor may have ignored the signal, and with it how children end."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole terminal; the parent decides what becomes of an instance."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Blocked too: one that reaches a child before it listens waits there until it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])

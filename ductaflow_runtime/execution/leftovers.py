"""Processes that a flow leaves running: they end with the instance, and its log says so (Linux)."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.kernel.grace import left
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.kernel.shutdown import some
from ductaflow_runtime.memory import can_tell, started_by

_MOMENT_S = 0.2  # for what is ending by itself
_LOOK_EVERY_S = 0.01
# What Python starts beside others, ends late, and nobody has to know of.
_OF_PYTHON = (b"resource_tracker", b"multiprocessing.forkserver")


def tell_of_leftovers(log: Log, execution: Execution) -> None:
    """Say which processes the flow has left behind, and count that as a warning; its worker ends them."""
    if not can_tell():
        return
    until = time.monotonic() + _MOMENT_S
    while (found := _running()) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    if found:
        execution.warned.add()
        are = "is" if len(found) == 1 else "are"
        log.feed("stderr", f"ductaflow: {left(len(found), 'process')} {are} ended: {some(found)}\n")


def _running() -> list[str]:
    """Below this process, and what it has orphaned, which its worker has inherited."""
    found = started_by(os.getppid())
    return [told for pid in found if pid != os.getpid() and (told := _describe(pid)) is not None]


def _describe(pid: int) -> str | None:
    """Name and number of a process that is running; `None` for one that is not, and for Python's own."""
    folder = Path(f"/proc/{pid}")
    try:
        command = (folder / "cmdline").read_bytes()
        name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
    except OSError:
        return None
    if rest[:1] in ("Z", "X") or any(part in command for part in _OF_PYTHON):
        return None
    return f"{name.partition('(')[2]} (pid {pid})"

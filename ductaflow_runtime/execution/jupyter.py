"""Execution on a real Jupyter kernel through papermill: another language, or another environment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from traitlets import default

from ductaflow_runtime.execution.context import HANDOFF, Execution
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.kernel.cells import tidy_streams
from ductaflow_runtime.notebook import language_of
from ductaflow_runtime.runs.failure import describe_exit

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.kernel.capture import Log


class LogStream:
    """What papermill writes a stream's text to."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name

    def write(self, text: str) -> None:
        """Add text to the log."""
        self._log.feed(self._name, text)

    def flush(self) -> None:
        """The log is not buffered."""


class Left(Exception):  # noqa: N818 - no error
    """The flow called `exit()`."""


class Died(Exception):  # noqa: N818 - the word in records
    """The kernel's process ended before the flow did."""


class KernelManager(AsyncKernelManager):
    """A kernel whose end is noted."""

    ended: ClassVar[int | None] = None
    sockets: ClassVar[Path | None] = None

    @default("transport")
    def _no_ports(self) -> str:
        # Ports are chosen before they are taken: with several kernels at a time, two get the same.
        return "tcp" if self.sockets is None else "ipc"

    @default("connection_file")
    def _short_name(self) -> str:
        return "" if self.sockets is None else str(self.sockets / "kernel-connection.json")

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Whether it runs; if not, with which code it ended."""
        alive = await self._async_is_alive()
        if not alive and self.provisioner is not None:
            KernelManager.ended = await self.provisioner.poll()
        return alive


def run_on_kernel(
    job: Job, notebook: NotebookNode, kernel_name: str, running: Execution, log: Log
) -> tuple[NotebookNode, BaseException | None]:
    """Execute on the named kernel; gives the notebook and papermill's error, if any."""
    import papermill.execute
    from papermill.engines import papermill_engines

    _prepare_environment(job, running)
    python = language_of(notebook) == "python"  # not every other kernel can do without ports
    KernelManager.sockets = running.handoff.parent if python and running.handoff and os.name == "posix" else None
    kept: list[NotebookNode] = []
    papermill_engines.register("ductaflow-kernel", _keeping_engine(kept))
    interrupts = _interrupt_kernel_too()
    target = str(running.directory / f"{Path(job.flow).stem}.ipynb")
    error: BaseException | None = None
    try:
        papermill.execute.execute_notebook(
            notebook,
            target.replace("{", "{{").replace("}", "}}"),  # papermill formats the path
            parameters={"config": job.config},
            engine_name="ductaflow-kernel",
            kernel_name=kernel_name,
            language=language_of(notebook),
            progress_bar=False,
            stdout_file=LogStream(log, "stdout"),
            stderr_file=LogStream(log, "stderr"),
            kernel_manager_class=KernelManager,
            on_cell_executed=_leave,
        )
    except Exception as failed:
        error = failed
        if interrupts and getattr(failed, "ename", None) != "KeyboardInterrupt":
            error = KeyboardInterrupt()  # whatever the kernel made of it, as it was being started or ended
        elif not kept:
            raise
    if not kept:
        return notebook, error
    for cell in kept[0].cells:
        tidy_streams(cell)
    if isinstance(error, DeadKernelError):
        error = _death(kept[0], error)
    return kept[0], error


def _keeping_engine(kept: list[NotebookNode]) -> type:
    from papermill.engines import NBClientEngine

    class KeepingEngine(NBClientEngine):  # type: ignore[misc]
        """Papermill's own engine; keeps hold of the notebook for the case of an error."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
            kept.append(nb_man.nb)
            with contextlib.suppress(Left):
                super().execute_managed_notebook(nb_man, kernel_name, **options)

    return KeepingEngine


def _leave(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """End the flow after a cell that called `exit()`; papermill would go on."""
    if any(payload.get("source") == "ask_exit" for payload in execute_reply["content"].get("payload", ())):
        raise Left


def _death(notebook: NotebookNode, error: Exception) -> Exception:
    """What the kernel died of; marks the cell that it was executing."""
    started = [cell for cell in notebook.cells if cell.metadata["papermill"]["start_time"] is not None]
    for cell in started[-1:]:
        cell.metadata["papermill"].update(status="failed", exception=True)
    return error if KernelManager.ended is None else Died(describe_exit(KernelManager.ended))


def _prepare_environment(job: Job, running: Execution) -> None:
    """What the kernel process is told: where it is, and where the project's modules are."""
    told = {
        "root": job.root,
        "directory": str(running.directory),
        "runs_dir": job.runs_dir,
        "handoff": str(running.handoff),
    }
    os.environ[HANDOFF] = json.dumps(told)
    known = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(job.flow).parent), job.root, *known])


def _interrupt_kernel_too() -> list[int]:
    """A kernel has a process group of its own, so an interrupt is passed on; then its cell shows where.

    Gives the list of the interrupts that have come.
    """
    import psutil

    come: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        come.append(number)
        for child in psutil.Process().children():
            child.send_signal(number)

    signal.signal(signal.SIGINT, pass_on)
    return come

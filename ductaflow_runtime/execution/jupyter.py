"""Execution on a real Jupyter kernel through papermill: another language, or another environment."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from traitlets import default

from ductaflow_runtime.execution.assignment import Assignment
from ductaflow_runtime.execution.failure import Ran
from ductaflow_runtime.execution.handoff import take_answer, tell_kernel
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.kernel.cells import tidy_streams
from ductaflow_runtime.notebook import language_of
from ductaflow_runtime.runs.failure import describe_exit

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.kernel.log import Log


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


class KernelRun:
    """What is seen of one kernel: the notebook that it executes, how it ended, whether it was interrupted.

    Papermill and nbclient make their engine and their kernel manager themselves, from a class. So each run has
    classes of its own, which note here what they see.
    """

    def __init__(self, sockets: Path | None) -> None:
        self.sockets = sockets
        self.notebook: NotebookNode | None = None
        self.exit_code: int | None = None
        self.interrupted = False

    @property
    def manager_class(self) -> type[NotedManager]:
        """What nbclient starts the kernel with."""
        return type("KernelManager", (NotedManager,), {"run": self})

    @property
    def engine_class(self) -> type:
        """What papermill executes the notebook with: its own engine, which would lose the notebook at an error."""
        from papermill.engines import NBClientEngine

        run = self

        class NotedEngine(NBClientEngine):  # type: ignore[misc]
            @classmethod
            def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
                run.notebook = nb_man.nb
                with contextlib.suppress(Left):
                    super().execute_managed_notebook(nb_man, kernel_name, **options)

        return NotedEngine

    def pass_on_interrupts(self) -> None:
        """A kernel has a process group of its own, so an interrupt is passed on; then its cell shows where."""
        import psutil

        def pass_on(number: int, _frame: object) -> None:
            self.interrupted = True
            for child in psutil.Process().children():
                child.send_signal(number)

        signal.signal(signal.SIGINT, pass_on)


class NotedManager(AsyncKernelManager):
    """A kernel whose end is noted."""

    run: ClassVar[KernelRun]

    @default("transport")
    def _no_ports(self) -> str:
        # Ports are chosen before they are taken: with several kernels at a time, two get the same.
        return "tcp" if self.run.sockets is None else "ipc"

    @default("connection_file")
    def _short_name(self) -> str:
        return "" if self.run.sockets is None else str(self.run.sockets / "kernel-connection.json")

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Whether it runs; if not, with which code it ended."""
        alive = await self._async_is_alive()
        if not alive and self.provisioner is not None:
            self.run.exit_code = await self.provisioner.poll()
        return alive


def run_on_kernel(given: Assignment, notebook: NotebookNode, kernel_name: str, execution: Execution, log: Log) -> Ran:
    """Execute on the named kernel; raises papermill's error if the kernel never got the notebook."""
    answer = given.scratch / "kernel.json"
    tell_kernel(execution, answer)
    _make_importable(given.job)
    python = language_of(notebook) == "python"  # not every other kernel can do without ports
    run = KernelRun(given.scratch if python and os.name == "posix" else None)
    run.pass_on_interrupts()
    try:
        _execute_with_papermill(given.job, notebook, kernel_name, run, log)
        error: BaseException | None = None
    except Exception as failed:
        error = failed
        if run.interrupted and getattr(failed, "ename", None) != "KeyboardInterrupt":
            error = KeyboardInterrupt()  # whatever the kernel made of it, as it was being started or ended
        elif run.notebook is None:
            raise
    if run.notebook is None:
        return Ran(notebook, error, {})
    for cell in run.notebook.cells:
        tidy_streams(cell)
    if isinstance(error, DeadKernelError):
        _mark_last_started(run.notebook)
        error = error if run.exit_code is None else Died(describe_exit(run.exit_code))
    return Ran(run.notebook, error, dict.fromkeys(take_answer(execution, answer), ""))


def _execute_with_papermill(job: Job, notebook: NotebookNode, kernel_name: str, run: KernelRun, log: Log) -> None:
    import papermill.execute
    from papermill.engines import papermill_engines

    papermill_engines.register("ductaflow-kernel", run.engine_class)
    target = str(job.instance.directory / f"{Path(job.flow).stem}.ipynb")
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
        kernel_manager_class=run.manager_class,
        on_cell_executed=_leave,
    )


def _leave(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """End the flow after a cell that called `exit()`; papermill would go on."""
    if any(payload.get("source") == "ask_exit" for payload in execute_reply["content"].get("payload", ())):
        raise Left


def _mark_last_started(notebook: NotebookNode) -> None:
    """The kernel died in the cell that it had begun last."""
    started = [cell for cell in notebook.cells if cell.metadata["papermill"]["start_time"] is not None]
    for cell in started[-1:]:
        cell.metadata["papermill"].update(status="failed", exception=True)


def _make_importable(job: Job) -> None:
    """The flow's neighbours and the project's modules, in the kernel's process."""
    known = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(job.flow).parent), job.root, *known])

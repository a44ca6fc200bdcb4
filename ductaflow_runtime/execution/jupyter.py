"""Execution on a real Jupyter kernel through papermill: another language, or another environment."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_client.localinterfaces import localhost
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from ductaflow_runtime.config.secrets import Mask, known_mask, secrets_in
from ductaflow_runtime.execution.assignment import Assignment
from ductaflow_runtime.execution.failure import Ran, forgive
from ductaflow_runtime.execution.handoff import LOOK, Answers, tell_kernel
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.masking import mask_notebook
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.sockets import Meeting, meeting_in
from ductaflow_runtime.flow.kernels import Kernel
from ductaflow_runtime.kernel.cells import tidy_streams
from ductaflow_runtime.parameters.languages import PROJECT_VARIABLE, PYTHON
from ductaflow_runtime.runs.failure import describe_exit

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.kernel.log import Log


@dataclass(frozen=True)
class FlowOnKernel:
    """A flow's notebook, parameters and all, with the kernel that executes it."""

    notebook: NotebookNode
    kernel: Kernel


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


class Interrupted(Exception):  # noqa: N818 - papermill is only to stop
    """The user broke off the cell, and the kernel calls that no error."""


class Died(Exception):  # noqa: N818 - the word in records
    """The kernel's process ended before the flow did."""


class KernelRun:
    """What is seen of one kernel: the notebook that it executes, how it ended, whether it was interrupted.

    Papermill and nbclient make their engine and their kernel manager themselves, from a class. So each run has
    classes of its own, which note here what they see.
    """

    def __init__(self, language: str, meeting: Meeting | None, mask: Mask, answers: Answers) -> None:
        self.language = language
        self.answers = answers
        self.mask = mask
        self.meeting = meeting
        self.notebook: NotebookNode | None = None
        self.client: Any = None
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
                save = nb_man.save

                def masked_save(**changed: Any) -> None:
                    mask_notebook(nb_man.nb, run.mask)
                    save(**changed)

                nb_man.save = masked_save  # papermill saves after each cell
                try:
                    with contextlib.suppress(Left):
                        super().execute_managed_notebook(nb_man, kernel_name, **options)
                finally:
                    mask_notebook(nb_man.nb, run.mask)

        return NotedEngine

    def ask_to_look(self, notebook: NotebookNode) -> None:
        """Have a Python kernel note what it imports, reads and warns of, from the first cell on."""
        if self.language == PYTHON:
            self.client.execute(LOOK, silent=True, store_history=False, allow_stdin=False, stop_on_error=False)

    def look_at(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        """End the flow after a cell that called `exit()`, was broken off or lost its shell; papermill would go on."""
        self.answers.hear(execute_reply["content"])
        if any(payload.get("source") == "ask_exit" for payload in execute_reply["content"].get("payload", ())):
            raise Left
        if self.interrupted:
            raise Interrupted
        if self.language == "bash" and _has_new_shell(cell):
            raise Died("bash ended in this cell (exit, or an error under set -e); its variables are gone")

    def pass_on_interrupts(self) -> None:
        """A kernel has a process group of its own, so an interrupt is passed on; then its cell shows where."""
        import psutil

        def pass_on(number: int, _frame: object) -> None:
            self.interrupted = True
            for child in psutil.Process().children():
                child.send_signal(number)

        signal.signal(signal.SIGINT, pass_on)


class NotedManager(AsyncKernelManager):
    """A kernel whose client and end are noted."""

    run: ClassVar[KernelRun]

    @default("transport")
    def _transport(self) -> str:
        return "tcp" if self.run.meeting is None else "ipc"

    @default("ip")
    def _address(self) -> str:
        return localhost() if self.run.meeting is None else self.run.meeting.address

    @default("connection_file")
    def _file(self) -> str:
        return "" if self.run.meeting is None else self.run.meeting.file

    def client(self, **options: Any) -> Any:
        """The one that nbclient talks to the kernel with."""
        self.run.client = super().client(**options)
        return self.run.client

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Whether it runs; if not, with which code it ended."""
        alive = await self._async_is_alive()
        if not alive and self.provisioner is not None:
            self.run.exit_code = await self.provisioner.poll()
        return alive


def run_on_kernel(given: Assignment, flow: FlowOnKernel, execution: Execution, log: Log) -> Ran:
    """Execute on the kernel; raises papermill's error if the kernel never got the notebook."""
    answer = given.scratch / "kernel.json"
    answers = Answers(answer)
    tell_kernel(execution, given.job.flow, answer, [name for _, name in secrets_in(given.job.config)])
    _make_importable(given.job)
    language = flow.kernel.language
    run = KernelRun(language, meeting_in(given.scratch, language), known_mask(), answers)
    run.pass_on_interrupts()
    try:
        _execute_with_papermill(given.job, flow, run, log)
        error: BaseException | None = None
    except Exception as failed:
        error = failed
        if run.interrupted and getattr(failed, "ename", None) != "KeyboardInterrupt":
            error = KeyboardInterrupt()  # whatever the kernel made of it, as it was being started or ended
        elif run.notebook is None:
            raise
        elif isinstance(failed, PapermillExecutionError):
            error = _named(failed)
    if run.notebook is None:
        return Ran(flow.notebook, error, {})
    for cell in run.notebook.cells:
        tidy_streams(cell)
    if isinstance(error, (DeadKernelError, Died)):
        _mark_last_started(run.notebook)
    if isinstance(error, DeadKernelError):
        error = error if run.exit_code is None else Died(describe_exit(run.exit_code))
    modules = answers.take(execution)
    ran = forgive(Ran(run.notebook, error, modules or {}, watched=modules is not None))
    return ran if ran.error is not None else replace(ran, error=answers.problem())


def _execute_with_papermill(job: Job, flow: FlowOnKernel, run: KernelRun, log: Log) -> None:
    import papermill.execute
    from papermill.engines import papermill_engines

    papermill_engines.register("ductaflow-kernel", run.engine_class)
    target = str(job.instance.directory / f"{Path(job.flow).stem}.ipynb")
    papermill.execute.execute_notebook(
        flow.notebook,
        target.replace("{", "{{").replace("}", "}}"),  # papermill formats the path
        engine_name="ductaflow-kernel",
        kernel_name=flow.kernel.name,
        language=flow.kernel.language,
        progress_bar=False,
        stdout_file=LogStream(log, "stdout"),
        stderr_file=LogStream(log, "stderr"),
        kernel_manager_class=run.manager_class,
        on_notebook_start=run.ask_to_look,
        on_cell_executed=run.look_at,
    )


def _has_new_shell(cell: NotebookNode) -> bool:
    """Whether bash_kernel has started bash anew, as it says at the end of what the cell printed."""
    printed = [output.text for output in cell.get("outputs", []) if output.output_type == "stream"]
    return bool(printed) and printed[-1].rstrip().endswith("Restarting Bash")


def _named(error: PapermillExecutionError) -> PapermillExecutionError:
    """An error of a kernel that gives it no name, but an exit code."""
    if not error.ename:
        error.ename = "Error"
        error.evalue = f"exit code {error.evalue}" if error.evalue.isdigit() else error.evalue
    return error


def _mark_last_started(notebook: NotebookNode) -> None:
    """The kernel died in the cell that it had begun last."""
    started = [cell for cell in notebook.cells if cell.metadata["papermill"]["start_time"] is not None]
    for cell in started[-1:]:
        cell.metadata["papermill"].update(status="failed", exception=True)


def _make_importable(job: Job) -> None:
    """The flow's neighbours and the project's modules, in the kernel's process; there, the project has a name too."""
    os.environ[PROJECT_VARIABLE] = job.root
    known = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(job.flow).parent), job.root, *known])

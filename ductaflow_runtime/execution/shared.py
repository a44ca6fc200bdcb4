"""A flow's shared cells, executed once in a process whose forks then execute its instances.

What an instance would have of them besides their variables is kept here, and taken over by it: their outputs and log,
what they read and imported, the warnings that they gave, and what they seeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.secrets import known_mask
from ductaflow_runtime.execution import progress_bars
from ductaflow_runtime.execution.elsewhere import warn_of_patterns
from ductaflow_runtime.execution.generators import Generators, Seeded
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.occupy import occupy
from ductaflow_runtime.execution.prepare import study
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.shared_limits import Limits
from ductaflow_runtime.execution.shared_needs import needs_of
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.files import stat_file
from ductaflow_runtime.flow.shared import shared_cells, texts_of_shared
from ductaflow_runtime.kernel.capture import FlowStream
from ductaflow_runtime.kernel.cells import CellRunner
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.kernel.watch import Executed, Watch
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.staleness.audit import listen
from ductaflow_runtime.staleness.bytecode import text_state
from ductaflow_runtime.staleness.imports import local_modules


class RefusedError(Exception):
    """The shared cells did what each instance must do itself; the text follows "executing the shared cells"."""


@dataclass(frozen=True)
class Shared:
    """What the shared cells have left, besides their variables.

    `told` is what their tracker saw, `absent` the files that they named and that were not there, `asked_for` those of
    them that they named in a call, `sources` the files of code that they ran, `last_import` what had been imported last
    before them, `warned` the number of their warnings,
    `context` what all cells of a notebook run in.
    """

    key: str
    executed: Executed
    context: Context
    log: bytes
    told: dict[str, Any]
    absent: frozenset[str]
    asked_for: frozenset[str]
    sources: frozenset[str]
    last_import: str | None
    warned: int
    seeded: Seeded

    def take_over(self, execution: Execution) -> None:
        """What was seen of the shared cells is seen of this instance."""
        self.seeded.restore()
        progress_bars.take_up()
        execution.tracker.take_over(self.told)
        execution.tracker.go_on_without(self.absent, self.asked_for)
        execution.tracker.sources |= self.sources
        execution.last_import = self.last_import
        with open(execution.directory / LOG_NAME, "ab") as log:
            log.write(known_mask().text(self.log.decode("utf-8", "replace")).encode())


# Global, for their variables are the process's as well: it has executed the shared cells of one flow or of none.
_shared: Shared | None = None


def shared_for(job: Job) -> Shared | None:
    """What this process, forked from one that executed them, has of the shared cells of a job's flow."""
    return _shared if _shared is not None and _shared.key == job.shared else None


def execute_shared(job: Job, scratch: Path) -> dict[str, Any]:
    """Execute the shared cells of a job's flow in this process, once; gives what they depend on, as it is now.

    That is `files`, path -> size and time in ns, and sha256 where these do not tell, `folders`, path -> digest of the
    names in it, whether they `failed`, and whether they have `connected` to another program. Raises `RefusedError`;
    this process is good for no instance then.
    """
    global _shared
    folder, before = scratch / "instance", os.getcwd()
    folder.mkdir()
    try:
        run = _Run(job, occupy(job, folder), Log(scratch / LOG_NAME))
        run.run()
    finally:
        os.chdir(before)
    run.end()
    needs = run.depends_on()  # before it is compared with what was read and compiled
    run.check()
    _shared = run.result((scratch / LOG_NAME).read_bytes())
    return needs


class _Run:
    """The shared cells being executed."""

    def __init__(self, job: Job, execution: Execution, log: Log) -> None:
        from papermill.engines import NotebookExecutionManager
        from papermill.execute import prepare_notebook_metadata

        self.key = job.shared
        self.execution = execution
        self.notebook, _ = study(Path(job.flow), job.content)
        self.cells = shared_cells(self.notebook)
        texts = texts_of_shared(self.notebook)
        self.notebook.cells = self.notebook.cells[: self.notebook.cells.index(self.cells[-1]) + 1]
        prepare_notebook_metadata(self.notebook, job.project.relative(job.flow), "", report_mode=False)
        self.replies: list[dict[str, Any]] = []
        self.context = copy_context()
        self.log = log
        self.limits = Limits(execution.directory)
        watch = Watch(
            log=log,
            own_code=self._own_code,
            on_error=self.replies.append,
            at_end=lambda _release: self._look_at_streams(),
            context=self.context,
        )
        build_kernel()  # before warnings are counted: it has one of its own
        execution.warned = count_warnings()
        listen(execution.tracker)
        warn_of_patterns(execution, Path(job.flow))
        execution.tracker.name_all(texts)
        manager = NotebookExecutionManager(self.notebook, progress_bar=False, autosave_cell_every=0)
        manager.notebook_start()
        self.runner = CellRunner(manager, watch)
        self.generators = Generators()

    def run(self) -> None:
        """All of them, or up to the first error."""
        try:
            with self.execution.tracker.watching_others():
                self.runner.run()
        finally:
            self.generators.stop()

    def end(self) -> None:
        """Let go of what executing them took, but for their variables."""
        progress_bars.let_go()
        self.log.close()
        self.runner.outputs.capture.close()
        assert self.runner.loop is not None
        self.tasks = len(asyncio.all_tasks(self.runner.loop))
        self.runner.loop.close()
        asyncio.set_event_loop(None)

    @contextlib.contextmanager
    def _own_code(self) -> Iterator[None]:
        with self.execution.tracker.looking_back(), self.limits.watching():
            yield

    def _look_at_streams(self) -> None:
        if not (isinstance(sys.stdout, FlowStream) and isinstance(sys.stderr, FlowStream)):
            self.limits.refuse("puts something in the place of sys.stdout or sys.stderr")

    def check(self) -> None:
        """Raise `RefusedError` if each instance must execute them itself."""
        self.limits.look_around()
        for reason in self._reasons():
            self.limits.refuse(reason)
        if self.limits.reason is not None:
            raise RefusedError(self.limits.reason)

    def _reasons(self) -> Iterator[str]:
        tracker = self.execution.tracker
        if self.tasks:
            yield "leaves tasks running"
        if self.execution.results:
            yield "saves results, and no instance is there yet"
        if tracker.instances:
            yield "runs other instances"
        if self.runner.shell.exit_requested:
            yield "ends the flow"
        if self.runner.kernel.comm_manager.comms:
            yield "shows widgets, which are connected to one instance"
        changed = [path for path, before in tracker.files.items() if stat_file(path) != before]
        changed += [path for path in tracker.absent if stat_file(path) is not None]
        changed += [path for path in self._modules() if not self._is_as_compiled(path)]
        if changed:
            yield f"reads or writes a file that changes meanwhile ({changed[0]})"
        if self.replies and self.replies[-1]["ename"] == "FileNotFoundError" and "'/" not in self.replies[-1]["evalue"]:
            yield "looks for a file in the working directory, which is another one in each instance"
        seeded = self.generators.found(list(self._codes()))
        if isinstance(seeded, str):
            yield seeded
        else:
            self.seeded = seeded

    def result(self, log: bytes) -> Shared:
        """What is kept."""
        reply = self.replies[-1] if self.replies else None
        done = [cell for cell in self.cells if cell.metadata["papermill"]["status"] != "pending"]
        cells = {cell["id"]: json.loads(json.dumps(cell)) for cell in done}
        tracker = self.execution.tracker
        return Shared(
            self.key,
            Executed(cells, reply, self.runner.displays()),
            self.context,
            log,
            tracker.told(),
            tracker.places_of(tracker.absent),
            tracker.places_of(tracker.asked_for),
            frozenset(tracker.sources),
            self.execution.last_import,
            self.execution.warned.count,
            self.seeded,
        )

    def depends_on(self) -> dict[str, Any]:
        """Files and folders with their present state; an error may come of what nobody has seen."""
        tracker = self.execution.tracker
        root, last = str(self.execution.root), self.execution.last_import
        files = needs_of(root, last, self._modules(), tracker.files, self.limits.opened)
        files = dict.fromkeys(tracker.places_of(tracker.absent)) | files
        told = {"failed": bool(self.replies), "connected": self.limits.has_connected}
        return {"files": files, "folders": tracker.folders, **told}

    def _modules(self) -> set[str]:
        """The project's files of code that were executed."""
        root = str(self.execution.root)
        return {*local_modules(root, self.execution.last_import), *self.execution.tracker.sources}

    def _is_as_compiled(self, path: str) -> bool:
        compiled = self.execution.tracker.compiled.get(path)
        if compiled is None:
            return True
        with contextlib.suppress(OSError):
            return compiled == {text_state(Path(path).read_bytes())}
        return False

    def _codes(self) -> Iterator[str]:
        yield from (cell.source for cell in self.cells)
        for path in self._modules():
            with contextlib.suppress(OSError):
                yield Path(path).read_text(encoding="utf-8", errors="replace")

# ruff: noqa: T201 - its findings go to whoever started it
"""Where the CPU time of one light instance goes.

`python -m benchmarks.where FLOW COUNT`, in a project's folder, prints its findings as JSON. Children are forked as
a worker forks them. An execution tells its phases to whoever observes it; the clock is put on papermill's and
IPython's own functions from outside.
"""

from __future__ import annotations

import functools
import gc
import inspect
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ductaflow_runtime.execution.assignment import Assignment, Clock, Phase
from ductaflow_runtime.execution.execute import execute
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.prepare import study
from ductaflow_runtime.kernel.capture import open_pipes
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.shell import draw_inline
from ductaflow_runtime.kernel.watch import no_journal
from ductaflow_runtime.staleness.imports import imported_since
from ductaflow_runtime.worker.import_ahead import imports_ahead
from ductaflow_runtime.worker.learning import imported_by_packages
from ductaflow_runtime.worker.preload import Preloader, preload_runtime

REST = "the process: fork, memory copied when touched, end"
PARTS = {
    Phase.OPEN: "the folder, config.json, the first run.json",
    Phase.STUDY: "the flow, read from what the worker has parsed",
    Phase.ENTER: "working directory, import path, tracking",
    Phase.CELLS: "capture, event loop, papermill's bookkeeping",
    Phase.END: "the end of the program: threads, exit handlers, variables",
    Phase.SAVE: "the notebook, written",
    Phase.FINGERPRINT: "the fingerprint",
    Phase.CLOSE: "outputs hashed, the last run.json",
}


class Account:
    """CPU seconds by part; a part within another one counts for itself only."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._open: list[str] = []
        self._since = time.process_time()

    def observe(self, phase: Phase) -> None:
        """A phase of the execution begins, and with it ends the one before."""
        self._charge()
        self._open[:1] = [PARTS[phase]]

    def begin(self) -> None:
        """Nothing has been spent yet."""
        self.spent.clear()

    def end(self) -> None:
        """The execution has ended, and with it the last phase."""
        self._charge()
        self._open.clear()

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Have each call of `owner.name` counted for `part`."""
        wrapped = getattr(owner, name)
        if inspect.iscoroutinefunction(wrapped):

            @functools.wraps(wrapped)
            async def timed(*args: Any, **kwargs: Any) -> Any:
                self._enter(part)
                try:
                    return await wrapped(*args, **kwargs)
                finally:
                    self._leave()

        else:

            @functools.wraps(wrapped)
            def timed(*args: Any, **kwargs: Any) -> Any:
                self._enter(part)
                try:
                    return wrapped(*args, **kwargs)
                finally:
                    self._leave()

        setattr(owner, name, timed)

    def _charge(self) -> None:
        moment = time.process_time()
        if self._open:
            self.spent[self._open[-1]] = self.spent.get(self._open[-1], 0.0) + moment - self._since
        self._since = moment

    def _enter(self, part: str) -> None:
        self._charge()
        self._open.append(part)

    def _leave(self) -> None:
        self._charge()
        self._open.pop()


def watch_libraries(account: Account) -> None:
    """Put the clock on what papermill and IPython do for the cells."""
    import papermill.parameterize
    from ipykernel.ipkernel import IPythonKernel
    from IPython.core.interactiveshell import InteractiveShell

    account.wrap(papermill.parameterize, "parameterize_notebook", "papermill's parameters cell")
    account.wrap(IPythonKernel, "do_execute", "IPython and ipykernel around each cell, displays")
    account.wrap(InteractiveShell, "run_code", "the flow's own code, cold in each process")


def one_instance(job: Job, preloader: Preloader, account: Account) -> dict[str, float]:
    """Execute the job in a forked child; CPU seconds by part."""
    preloader.warm_up(job)
    account.begin()
    pipes = open_pipes()
    reader, writer = os.pipe()
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        try:
            INTERRUPTS.listen()
            scratch = Path(tempfile.gettempdir())
            last_import = next(reversed(sys.modules))
            execute(Assignment(job, Clock.start(None), pipes, scratch, no_journal, account.observe))
            account.end()
            told = {"spent": account.spent, "imported": imported_by_packages(job, imported_since(last_import))}
            os.write(writer, json.dumps(told).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.close(writer)
    told: dict[str, Any] = json.loads(os.read(reader, 1 << 16))
    spent: dict[str, float] = told["spent"]
    preloader.learn(told["imported"])
    for descriptor in (reader, *(end for pair in pipes.values() for end in pair)):
        os.close(descriptor)
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**spent, REST: max(total - sum(spent.values()), 0.0)}


def main(flow: str, count: int) -> dict[str, float]:
    """The median CPU seconds of each part, over `count` instances."""
    draw_inline()
    preload_runtime()
    account = Account()
    watch_libraries(account)
    preloader = Preloader()
    root = Path.cwd()
    file = root / "flow" / f"{flow}.py"
    ahead = imports_ahead(study(file, file.read_bytes())[1].order, (file.parent, root))
    first = Job(str(root), str(root / "runs"), str(file), flow, "", {}, preload=list(ahead.names), learns=ahead.whole)
    jobs = [first.but(name=f"w{n}", config={"factor": n}, force=True) for n in range(count)]
    found = [one_instance(job, preloader, account) for job in jobs][3:]
    return {part: statistics.median(one.get(part, 0.0) for one in found) for part in found[0]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))

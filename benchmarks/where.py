# ruff: noqa: T201 - its findings go to whoever started it
"""Where the CPU time of one light instance goes.

`python -m benchmarks.where FLOW COUNT`, in a project's folder, prints its findings as JSON. Children are
forked from a warm worker's code in this process, as a worker does it, and note the CPU time of each part.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

REST = "the process: fork, memory copied when touched, end"
OUR_PARTS = {
    "open_entry": "the folder, config.json, the first run.json",
    "study": "the flow, read from what the worker has parsed",
    "_enter": "working directory, import path, tracking",
    "save_notebook": "the notebook, written",
    "fingerprint": "the fingerprint",
    "run_cells": "capture, event loop, papermill's bookkeeping",
}


class Account:
    """CPU seconds by part; a part within another one counts for itself only."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._open: list[str] = []
        self._since = time.process_time()

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


def watch(account: Account) -> None:
    """Put the clock on the parts of an execution."""
    import papermill.parameterize
    from ipykernel.ipkernel import IPythonKernel
    from IPython.core.interactiveshell import InteractiveShell

    from ductaflow_runtime.execution import execute
    from ductaflow_runtime.execution import job as ledger
    from ductaflow_runtime.kernel import shutdown as leaving

    for name, part in OUR_PARTS.items():
        account.wrap(execute, name, part)
    account.wrap(ledger.Entry, "close", "outputs hashed, the last run.json")
    account.wrap(leaving.Leaving, "__call__", "the end of the program: threads, exit handlers, variables")
    account.wrap(papermill.parameterize, "parameterize_notebook", "papermill's parameters cell")
    account.wrap(IPythonKernel, "do_execute", "IPython and ipykernel around each cell, displays")
    account.wrap(InteractiveShell, "run_code", "the flow's own code, cold in each process")


def one_instance(job: Any, account: Account) -> dict[str, float]:
    """Execute the job in a forked child; CPU seconds by part."""
    from ductaflow_runtime.execution import execute
    from ductaflow_runtime.kernel import interrupts
    from ductaflow_runtime.worker import server as worker

    worker.warm_up(job)
    pipes = {name: os.pipe() for name in worker.NAMES}
    reader, writer = os.pipe()
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        try:
            interrupts.INTERRUPTS.listen()
            scratch = Path(tempfile.gettempdir())
            execute.execute(job, lambda _entry: None, time.monotonic(), pipes, scratch)
            os.write(writer, json.dumps(account.spent).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.close(writer)
    spent: dict[str, float] = json.loads(os.read(reader, 1 << 16))
    for descriptor in (reader, *(end for pair in pipes.values() for end in pair)):
        os.close(descriptor)
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**spent, REST: max(total - sum(spent.values()), 0.0)}


def main(flow: str, count: int) -> dict[str, float]:
    """The median CPU seconds of each part, over `count` instances."""
    from ductaflow_runtime.execution.job import Job
    from ductaflow_runtime.worker import server as worker

    worker.draw_inline()
    worker.preload_runtime()
    account = Account()
    watch(account)
    root = Path.cwd()
    make: Callable[[int], Any] = lambda number: Job(  # noqa: E731
        str(root), str(root / "runs"), str(root / "flow" / f"{flow}.py"), flow, f"w{number}", {"factor": number}
    )
    found = [one_instance(make(number), account) for number in range(count)][3:]
    return {part: statistics.median(one.get(part, 0.0) for one in found) for part in found[0]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))

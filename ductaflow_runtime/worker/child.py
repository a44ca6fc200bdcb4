"""The process that executes one instance: forked from the warm worker, or a fresh interpreter, the rest is the same."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.config.secrets import mask_of
from ductaflow_runtime.execution.assignment import Assignment, Clock
from ductaflow_runtime.execution.execute import execute
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.masking import masked_failure
from ductaflow_runtime.execution.usage import own_memory
from ductaflow_runtime.kernel.capture import Pipes
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.runs.failure import of_surroundings
from ductaflow_runtime.staleness.imports import imported_since
from ductaflow_runtime.worker.journal import FILE_NAME, JournalWriter
from ductaflow_runtime.worker.learning import imported_by_packages
from ductaflow_runtime.worker.supervise import Process
from ductaflow_runtime.worker.watcher import die_with_parent, leave


@dataclass(frozen=True)
class Child:
    """One execution, as the worker hands it to the process that will do it; `worker` is its process id."""

    job: Job
    scratch: Path
    pipes: Pipes
    clock: Clock
    worker: int

    @property
    def journal(self) -> Path:
        """What it tells as it goes, for the case of a sudden end."""
        return self.scratch / FILE_NAME

    def to_text(self) -> str:
        """One line of JSON."""
        told = {"job": vars(self.job), "scratch": str(self.scratch), "pipes": self.pipes, "clock": vars(self.clock)}
        return json.dumps({**told, "worker": self.worker}) + "\n"

    @staticmethod
    def from_text(text: str) -> Child:
        """The inverse of `to_text`."""
        told = json.loads(text)
        clock = Clock(**told["clock"])
        return Child(Job(**told["job"]), Path(told["scratch"]), told["pipes"], clock, told["worker"])


def fork_child(child: Child, of_worker: Iterable[int]) -> Process:
    """A child that starts with all that this worker has imported, without the descriptors `of_worker`."""
    gc.freeze()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return Process(pid, functools.partial(_poll_forked, pid))
    try:
        os.setpgid(0, 0)
        for descriptor in of_worker:
            os.close(descriptor)
        run_child(child, own_memory() or 0)
    finally:
        leave(1)


def spawn_child(child: Child) -> Process:
    """A child that is a fresh interpreter."""
    passed = [end for pair in child.pipes.values() for end in pair]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ductaflow_runtime.worker", "--child"],
        stdin=subprocess.PIPE,
        pass_fds=passed,
        process_group=0,
        text=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin as stdin:
        stdin.write(child.to_text())
    return Process(process.pid, process.poll)


def run_child(child: Child, inherited: int = 0) -> None:
    """The child's whole life; it never returns. `inherited` is the memory, in bytes, that it has from its worker."""
    code = 1
    die_with_parent()
    if os.getppid() != child.worker:
        leave(code)
    child.scratch.mkdir(mode=0o700, exist_ok=True)  # other instances may have cleaned the temporary directory
    with open(child.journal, "a", encoding="utf-8") as file:
        journal = JournalWriter(file)
        last_import = next(reversed(sys.modules))
        try:
            INTERRUPTS.listen()
            given = Assignment(child.job, child.clock, child.pipes, child.scratch, journal, inherited)
            executed = execute(given)
            imported = imported_by_packages(child.job, imported_since(last_import)) if child.job.learns else []
            journal({"closed": True, "up to date": not executed, "imported": imported})
            code = 0
        except BaseException as error:  # noqa: BLE001 - the worker is told, whatever it was
            fatal = masked_failure(of_surroundings(error), mask_of(child.job.config))
            journal({"fatal": fatal.to_json()})
        finally:
            leave(code)


def _poll_forked(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended == pid else None

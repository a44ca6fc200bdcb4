"""The parent's side: warm worker processes, and the one function that has an instance executed.

`run_job` is what every scheduler sees, ours or any `concurrent.futures.Executor`: it takes a job, finds an
idle worker in this process or starts one, and gives the record. Workers stay warm between calls and
end with this process, because their standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import DuctaflowError, FlowFileError, InstanceBusyError, WorkerError
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import NOT_BEGUN, describe_exit, lost
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.process import Key, Worker, installed_state, worker_key, worker_variables
from ductaflow_runtime.worker.verdicts import Verdicts, verdicts_for

_REASONS: dict[str, type[DuctaflowError]] = {
    "InstanceBusyError": InstanceBusyError,
    "FlowFileError": FlowFileError,
}
_MOST_IDLE = 4  # workers a processor, of all flows together


@dataclass
class Pool:
    """The warm workers of this process."""

    idle: dict[Key, list[Worker]] = field(default_factory=dict)
    busy: dict[Worker, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)
    interrupts: int = 0

    @contextlib.contextmanager
    def lend(self, job: Job) -> Iterator[tuple[Worker, int]]:
        """A worker for one job, and its lane, the smallest number that no worker at work has."""
        key = worker_key(job)
        worker = self._take_idle(key) or Worker(worker_variables(job.threads))
        with self.lock:
            worker.make_ready()
            lane = min(set(range(len(self.busy) + 1)) - set(self.busy.values()))
            self.busy[worker] = lane
        try:
            yield worker, lane
        finally:
            self._give_back(worker, key)

    def _take_idle(self, key: Key) -> Worker | None:
        """An idle worker of the right kind; those started with other variables or packages are ended."""
        with self.lock:
            outdated = [other for other in self.idle if other[0] != key[0]]
            stale = [worker for other in outdated for worker in self.idle.pop(other)]
            known = self.idle.get(key)
            worker = known.pop() if known else None
        for old in stale:
            old.close()
        return worker

    def _give_back(self, worker: Worker, key: Key) -> None:
        """Keep the worker for later, as long as there are not more than the machine has use for."""
        with self.lock:
            self.busy.pop(worker, None)
            known = self.idle.pop(key, [])
            surplus = [] if worker.is_fit and len(known) < 2 * cpu_count() else [worker]
            known += [] if surplus else [worker]
            if known:
                self.idle[key] = known  # at the end, behind those that have served other flows since
            while sum(map(len, self.idle.values())) > _MOST_IDLE * cpu_count():
                longest = next(iter(self.idle))
                surplus.append(self.idle[longest].pop())
                if not self.idle[longest]:
                    del self.idle[longest]
        for old in surplus:
            old.close()

    def interrupt(self) -> None:
        """Interrupt all that is executing, and what is about to."""
        with self.lock:
            self.interrupts += 1
            workers = list(self.busy)
        for worker in workers:
            worker.interrupt()

    def close(self) -> None:
        """End all idle workers."""
        with self.lock:
            workers = [worker for workers in self.idle.values() for worker in workers]
            self.idle = {}
        for worker in workers:
            worker.close()


# Global, for workers stay warm from one call to the next, and end with the process.
_pool = Pool()


def pool() -> Pool:
    """The pool of this process; one forked from it starts its own."""
    global _pool
    if _pool.owner != os.getpid():
        _pool = Pool()
    return _pool


@atexit.register
def _close() -> None:
    if _pool.owner == os.getpid():
        _pool.close()


def cpu_count() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class NotBegunError(Exception):
    """Another job of the sweep has failed, so this one may not begin."""


def run_job(job: Job) -> Record:
    """Have one instance executed and give its record; whatever happens ends in a record or an error.

    Where a sweep stops at its first failure, that is noted here, before this worker can begin its next job.
    """
    flag = None if job.unless is None else Path(job.unless)
    if flag is not None and flag.exists():
        raise NotBegunError
    failed = True
    try:
        record = _run_on_worker(job)
        failed = record.status is not Status.DONE
    finally:
        if failed and flag is not None:
            with contextlib.suppress(OSError):
                flag.touch()
    return record


def _run_on_worker(job: Job) -> Record:
    workers = pool()
    interrupts = workers.interrupts
    verdicts = verdicts_for(job, installed_state())
    last = False
    while True:
        allowed = verdicts.applied(job)
        with workers.lend(allowed) as (worker, lane):
            try:
                if workers.interrupts != interrupts:
                    raise WorkerError(NOT_BEGUN)
                reply = worker.run(allowed.but(lane=lane))
            except WorkerError as error:
                interrupted = workers.interrupts != interrupts
                if not interrupted and _ended_by_import(worker, verdicts):
                    continue
                # A warm worker may have died of old age (out of memory, killed): that is no fault of this job.
                if last or worker.has_begun() or interrupted:
                    return _without_worker(job, worker, error)
                last = True
                continue
        if "unfit" not in reply:
            return _record_of(job, reply.get("fatal"))
        verdicts.add(*reply["unfit"])


def _ended_by_import(worker: Worker, verdicts: Verdicts) -> bool:
    """Whether a worker ended while it imported something ahead; then the next one leaves that alone."""
    name = worker.importing()
    if name is None:
        return False
    code = worker.exit_code()
    reason = "takes too long" if code == -signal.SIGALRM else f"ends the process ({describe_exit(code)})"
    by_others = code == -signal.SIGKILL  # somebody, or the system for want of memory: not the package's fault
    verdicts.add(name, reason, keep=not by_others)
    return True


def _record_of(job: Job, fatal: dict[str, Any] | None) -> Record:
    if fatal is not None:
        kind = _REASONS.get(fatal["type"])
        if kind is not None:
            raise kind(fatal["message"])
        raise WorkerError(f"{job.step}/{job.name} could not be executed: {fatal['type']}: {fatal['message']}")
    record = read_record(job.instance.directory)
    if record is None:
        raise WorkerError(f"{job.instance.directory} holds no record after the execution; was it deleted?")
    return record


def _without_worker(job: Job, worker: Worker, error: WorkerError) -> Record:
    """The worker itself died, and with it perhaps the record of what it was doing."""
    from ductaflow_runtime.execution.entry import Conclusion
    from ductaflow_runtime.worker.crash import finish, unfinished
    from ductaflow_runtime.worker.journal import read_journal

    left = unfinished(job)
    if left is None or not worker.has_begun():
        raise error
    with contextlib.suppress(OSError, KeyError, TypeError, AttributeError):
        os.killpg((left.environment or {})["pid"], signal.SIGKILL)
    told = read_journal(worker.journal)
    return finish(job, left, told, {}, Conclusion(Status.FAILED, lost(str(error))))

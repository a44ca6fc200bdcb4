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
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import DuctaflowError, FlowFileError, InstanceBusyError, WorkerError
from ductaflow_runtime.execution.context import aside
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import NOT_BEGUN, lost
from ductaflow_runtime.runs.lock import is_free
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import BUSY, decide
from ductaflow_runtime.staleness.why_stale import Present
from ductaflow_runtime.worker.process import Key, Worker, worker_key, worker_variables

_REASONS: dict[str, type[DuctaflowError]] = {
    "InstanceBusyError": InstanceBusyError,
    "FlowFileError": FlowFileError,
}

_LOOK_S = 0.1
_LAST_BREATH_S = 5.0


@dataclass
class Pool:
    """The warm workers of this process."""

    idle: dict[Key, list[Worker]] = field(default_factory=dict)
    busy: dict[Worker, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)
    interrupts: int = 0
    waiting: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def tell_waiting(self, job: Job) -> Iterator[None]:
        """While an instance is waited for, `waiting` says for whom: address -> host and process."""
        address = f"{job.step}/{job.name}"
        record = look(job.instance.directory).record
        there = (record.environment if record is not None and record.status is Status.RUNNING else None) or {}
        known = "host" in there and "pid" in there
        self.waiting[address] = f"{there['host']}, pid {there['pid']}" if known else "it has just begun"
        try:
            yield
        finally:
            self.waiting.pop(address, None)

    @contextlib.contextmanager
    def lend(self, threads: int) -> Iterator[tuple[Worker, int]]:
        """A worker for one job, and its lane, the smallest number that no worker at work has."""
        key = worker_key(threads)
        worker = self._take_idle(key) or Worker(worker_variables(threads))
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
            known = self.idle.setdefault(key, [])
            keep = worker.is_fit and len(known) < 2 * cpu_count()
            if keep:
                known.append(worker)
        if not keep:
            worker.close()

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
        with aside():
            record = _run_job(job)
        failed = record.status is not Status.DONE
    finally:
        if failed and flag is not None:
            with contextlib.suppress(OSError):
                flag.touch()
    return record


def _run_job(job: Job) -> Record:
    """Also wait for another process that is at the instance, and then look again."""
    until = time.monotonic() + job.wait
    workers = pool()
    interrupts = workers.interrupts
    while True:
        try:
            record = _run_on_worker(job)
            if record.status is not Status.RUNNING:
                return record
            busy = InstanceBusyError(f"{job.step}/{job.name} is being executed by another process at this moment")
        except InstanceBusyError as error:
            busy = error
        if time.monotonic() >= until:
            raise _busy(job, busy)
        job = job.but(planned=BUSY)
        with workers.tell_waiting(job):
            while not _is_free(job):
                if workers.interrupts != interrupts:
                    raise WorkerError(NOT_BEGUN)
                if time.monotonic() >= until:
                    raise _busy(job, busy)
                time.sleep(_LOOK_S)


def _is_free(job: Job) -> bool:
    """Whether no process holds the instance, here or, as its record shows, on another machine."""
    directory = job.instance.directory
    return is_free(directory) and look(directory).state is not Status.RUNNING


def _busy(job: Job, busy: InstanceBusyError) -> InstanceBusyError:
    """The error of one that was not waited for any longer, which names who has it if that is known."""
    plan = decide(job.instance, Present(job.project))
    waited = f" (waited {job.wait:g} s)" if job.wait else ""
    return InstanceBusyError(f"{plan.busy or busy}{waited}")


def _run_on_worker(job: Job) -> Record:
    workers = pool()
    interrupts = workers.interrupts
    for last in (False, True):
        with workers.lend(job.threads) as (worker, lane):
            try:
                if workers.interrupts != interrupts:
                    raise WorkerError(NOT_BEGUN)
                reply = worker.run(job.but(lane=lane))
                break
            except WorkerError as error:
                # A warm worker may have died of old age (out of memory, killed): that is no fault of this job.
                if last or worker.has_begun() or workers.interrupts != interrupts:
                    return _without_worker(job, worker, error)
    return _record_of(job, reply)


def _record_of(job: Job, reply: dict[str, Any]) -> Record:
    fatal = reply.get("fatal")
    if fatal is not None:
        kind = _REASONS.get(fatal["type"])
        if kind is not None:
            raise kind(fatal["message"])
        raise WorkerError(f"{job.step}/{job.name} could not be executed: {fatal['type']}: {fatal['message']}")
    record = read_record(job.instance.directory)
    if record is None:
        raise WorkerError(f"{job.instance.directory} holds no record after the execution; was it deleted?")
    return record.but(skipped="up to date" in reply)


def _without_worker(job: Job, worker: Worker, error: WorkerError) -> Record:
    """The worker itself died, and with it perhaps the record of what it was doing."""
    from ductaflow_runtime.execution.entry import Conclusion
    from ductaflow_runtime.worker.crash import settle
    from ductaflow_runtime.worker.journal import read_journal

    told = read_journal(worker.journal)
    record = read_record(job.instance.directory)
    if record is not None and record.started == told.started and record.status is Status.RUNNING:
        with contextlib.suppress(OSError, KeyError, TypeError, AttributeError):
            os.killpg((record.environment or {})["pid"], signal.SIGKILL)
        until = time.monotonic() + _LAST_BREATH_S
        while not is_free(job.instance.directory) and time.monotonic() < until:
            time.sleep(_LOOK_S)
    if told.started is None or not settle(job, told, str(error), {}, Conclusion(Status.FAILED, lost(str(error)))):
        raise error
    return _record_of(job, {})

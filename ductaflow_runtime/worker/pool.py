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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import DuctaflowError, FlowFileError, InstanceBusyError, WorkerError
from ductaflow_runtime.execution.job import NOT_BEGUN, Job
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.process import Key, Worker, worker_environment, worker_key

_REASONS: dict[str, type[DuctaflowError]] = {
    "InstanceBusyError": InstanceBusyError,
    "FlowFileError": FlowFileError,
}


@dataclass
class Pool:
    """The warm workers of this process."""

    idle: dict[Key, list[Worker]] = field(default_factory=dict)
    busy: dict[Worker, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)
    interrupts: int = 0

    def take(self, key: Key, environment: dict[str, str]) -> tuple[Worker, int]:
        """An idle worker of the right kind, or a new one; and its lane, the smallest number not in use."""
        with self.lock:
            outdated = [other for other in self.idle if other[0] != key[0]]
            stale = [worker for other in outdated for worker in self.idle.pop(other)]
            known = self.idle.get(key)
            worker = known.pop() if known else None
        for old in stale:
            old.close()
        worker = worker or Worker(environment)
        with self.lock:
            lane = min(set(range(len(self.busy) + 1)) - set(self.busy.values()))
            self.busy[worker] = lane
            worker.make_ready()
        return worker, lane

    def give_back(self, worker: Worker, key: Key, usable: bool) -> None:
        """Keep the worker for later, as long as there are not more than the machine has use for."""
        with self.lock:
            self.busy.pop(worker, None)
            known = self.idle.setdefault(key, [])
            keep = usable and len(known) < 2 * cpu_count()
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


def run_job(job: Job) -> Record:
    """Have one instance executed and give its record; whatever happens ends in a record or an error."""
    environment = worker_environment(job.threads)
    key = worker_key(dict(os.environ), job.threads)
    workers = pool()
    interrupts = workers.interrupts
    for last in (False, True):
        worker, lane = workers.take(key, environment)
        usable = False
        try:
            if workers.interrupts != interrupts:
                raise WorkerError(NOT_BEGUN)
            job.environment["worker"] = lane
            reply = worker.run(job)
            usable = True
            break
        except WorkerError as error:
            # A warm worker may have died of old age (out of memory, killed): that is no fault of this job.
            if last or worker.has_begun() or workers.interrupts != interrupts:
                return _without_worker(job, worker.journal, error)
        finally:
            workers.give_back(worker, key, usable)
    return _record_of(job, reply.get("fatal"))


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


def _without_worker(job: Job, journal: Path, error: WorkerError) -> Record:
    """The worker itself died, and with it perhaps the record of what it was doing."""
    from ductaflow_runtime.worker.crash import speak_for, unfinished

    left = unfinished(job)
    if left is None or not journal.is_file() or not journal.stat().st_size:
        raise error
    with contextlib.suppress(OSError, KeyError, TypeError, AttributeError):
        os.killpg((left.environment or {})["pid"], signal.SIGKILL)
    cause = Failure("Died", str(error))
    return speak_for(job, journal, Status.FAILED, cause, {})

"""The warm worker processes of this process, lent out one job at a time.

They stay warm between calls and end with this process, because their standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.process import Key, Worker, worker_key, worker_variables

_MOST_IDLE = 4  # workers a processor, of all flows together


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

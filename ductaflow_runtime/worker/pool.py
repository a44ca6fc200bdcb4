"""The warm worker processes of this process, lent out one job at a time.

They stay warm between calls and end with this process, because their standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.terminal import say
from ductaflow_runtime.worker.base_process import BaseProcess, has_bases
from ductaflow_runtime.worker.fitness import Key, forks, worker_key
from ductaflow_runtime.worker.process import Worker, start_fresh, worker_variables

_MOST_IDLE = 4  # workers a processor, of all flows together
_MOST_BASES = 4
_MOST_RETRIES = 1_000  # lines that nobody has taken yet
_MOST_LARGE = 2  # among them, those with what shared cells have made
_MOST_CALLS = 1_000  # that are told apart


@dataclass
class Pool:
    """The warm workers of this process."""

    idle: dict[Key, list[Worker]] = field(default_factory=dict)
    busy: dict[Worker, int] = field(default_factory=dict)
    bases: dict[Key, BaseProcess] = field(default_factory=dict)
    spare: BaseProcess | None = None
    refused: set[tuple[str, str, float | None]] = field(default_factory=set)
    calls: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)
    interrupts: int = 0
    waiting: dict[str, str] = field(default_factory=dict)
    retries: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_RETRIES))

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

    def allowed(self, job: Job) -> Job:
        """The job, without shared cells that each instance must execute itself."""
        return job.but(shared="") if (job.flow, job.shared, job.timeout) in self.refused else job

    def refuse(self, job: Job, reason: str) -> None:
        """Have each instance execute the shared cells of a flow itself from now on, and say why once."""
        with self.lock:
            about = (job.flow, job.shared, job.timeout)
            known = about in self.refused
            self.refused.add(about)
        if not known:
            flow = job.project.relative(job.flow)
            text = f"ductaflow: executing the shared cells of {flow} {reason}; so each instance executes them itself"
            say(text)

    def _begun(self, job: Job) -> float:
        """When this pool heard first of the call that a job is of."""
        if job.call not in self.calls and len(self.calls) >= _MOST_CALLS:
            del self.calls[next(iter(self.calls))]
        return self.calls.setdefault(job.call, time.monotonic())

    def begin_spare(self, threads: int) -> None:
        """Begin a base process before a job asks for the first one: it loads meanwhile what every flow needs."""
        with self.lock:
            if has_bases() and not (self.bases or self.spare):
                self.spare = BaseProcess(worker_variables(threads))

    def end_spare(self) -> None:
        """No job has asked for it."""
        with self.lock:
            spare, self.spare = self.spare, None
        if spare is not None:
            spare.discard()

    def _begin_base(self, variables: dict[str, str]) -> BaseProcess:
        spare = self.spare
        if spare is None or spare.variables != variables or not spare.is_sound:
            return BaseProcess(variables)
        self.spare = None
        spare.begun = time.monotonic()  # so far it has loaded nothing but the runtime
        return spare

    @contextlib.contextmanager
    def lend(self, job: Job) -> Iterator[tuple[Worker, int]]:
        """A worker for one job, and its lane, the smallest number that no worker at work has.

        Raises `UnfitError`, `RefusedAheadError` and `BrokenOffError` if there is none to be had.
        """
        key = worker_key(job)
        self._end_outdated(key)
        with self._base_for(key, job) as base:
            worker = self._take_idle(key) or self._make(base, job)
            with self.lock:
                worker.make_ready()
                lane = min(set(range(len(self.busy) + 1)) - set(self.busy.values()))
                self.busy[worker] = lane
            try:
                yield worker, lane
            finally:
                self._give_back(worker, key, base)

    def _end_outdated(self, key: Key) -> None:
        """End those started with other variables or packages."""
        with self.lock:
            outdated = [other for other in self.idle if other[0] != key[0]]
            stale = [worker for other in outdated for worker in self.idle.pop(other)]
            bases = [other for other, base in self.bases.items() if other[0] != key[0] and not base.users]
            stale_bases = [self.bases.pop(other) for other in bases]
        _close_all(stale, stale_bases)

    @contextlib.contextmanager
    def _base_for(self, key: Key, job: Job) -> Iterator[BaseProcess | None]:
        """The base whose forks do such jobs; `None` where they are done in fresh interpreters."""
        if not (forks(job) and has_bases()):
            yield None
            return
        with self.lock:
            known = self.bases.pop(key, None)
            begun = self._begun(job)  # before a base that is made for it
            fit = known is not None and known.is_fit(begun, job.force)
            base = known if known is not None and fit else self._begin_base(worker_variables(job.threads))
            self.bases[key] = base  # at the end, behind those that have served others since
            base.users += 1
            stale = [] if fit else self.idle.pop(key, [])
        _close_all(stale, [] if known is None or fit or known.users else [known])
        try:
            yield base
        finally:
            self._release(base)

    def _release(self, base: BaseProcess) -> None:
        """Keep the base for later, as long as it can go on and there are not too many; else its workers end with it."""
        with self.lock:
            base.users -= 1
            idle = [key for key, one in self.bases.items() if not one.users]
            sound = [key for key in idle if self.bases[key].is_sound]
            large = [key for key in sound if key[-1]]
            leaving = [key for key in idle if key not in sound[-_MOST_BASES:] or key in large[:-_MOST_LARGE]]
            workers = [worker for key in leaving for worker in self.idle.pop(key, [])]
            bases = [self.bases.pop(key) for key in leaving]
            if not base.users and base not in [*self.bases.values(), *bases]:
                bases.append(base)  # another has taken its place
        _close_all(workers, bases)

    def _make(self, base: BaseProcess | None, job: Job) -> Worker:
        variables = worker_variables(job.threads)
        return base.make_worker(job) if base is not None else Worker(partial(start_fresh, variables=variables))

    def _take_idle(self, key: Key) -> Worker | None:
        with self.lock:
            known = self.idle.get(key)
            return known.pop() if known else None

    def _give_back(self, worker: Worker, key: Key, base: BaseProcess | None) -> None:
        """Keep the worker for later, as long as there are not more than the machine has use for."""
        with self.lock:
            self.busy.pop(worker, None)
            known = self.idle.pop(key, [])
            keeps = worker.is_fit and self.bases.get(key) is base and len(known) < 2 * cpu_count()
            surplus = [] if keeps else [worker]
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
            known: list[Worker | BaseProcess] = [*self.busy, *self.bases.values()]
        for one in known:
            one.interrupt()

    def close(self) -> None:
        """End all idle workers, and the bases that no other needs."""
        with self.lock:
            workers = [worker for workers in self.idle.values() for worker in workers]
            self.idle = {}
            bases = [self.bases.pop(key) for key, base in list(self.bases.items()) if not base.users]
        _close_all(workers, bases)
        self.end_spare()


# Global, for workers stay warm from one call to the next, and end with the process.
_pool = Pool()


def pool() -> Pool:
    """The pool of this process; one forked from it starts its own."""
    global _pool
    if _pool.owner != os.getpid():
        _pool = Pool()
    return _pool


def _close_all(workers: Sequence[Worker], bases: Sequence[BaseProcess]) -> None:
    """Workers first: their bases tell how they ended. All are told to end before any is waited for."""
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.close()
    for base in bases:
        base.end()
    for base in bases:
        base.close()


@atexit.register
def _close() -> None:
    if _pool.owner == os.getpid():
        _pool.close()


def cpu_count() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1

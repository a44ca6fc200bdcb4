"""One sweep: jobs handed to an executor, outcomes taken as they come, observers told.

There is one path: without an executor of the user's, a thread per worker waits for a worker process;
one worker is a pool of one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import of_exception
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.pool import cpu_count, pool, run_job

_TICK_S = 0.5
_LAST_CHANCE_S = 15.0


class Sweep:
    """Executes jobs and gives one outcome for each. With `stop`, nothing new starts after the first failure."""

    def __init__(
        self, workers: int | None, executor: Executor | None, observers: Sequence[Observer], *, stop: bool
    ) -> None:
        self.workers = workers or cpu_count()
        self.threads = max(1, cpu_count() // self.workers)
        self._executor = executor
        self._observers = observers
        self._stop = stop

    def run(self, jobs: Mapping[int, Job]) -> dict[int, Outcome]:
        """Execute all jobs; raises nothing for one that fails."""
        if not jobs:
            return {}
        at_once = min(self.workers, len(jobs))
        for observer in self._observers:
            observer.begun(len(jobs), at_once)
        if self._executor is not None:
            return self._execute(jobs, self._executor)
        threads = ThreadPoolExecutor(at_once, "ductaflow")
        try:
            return self._execute(jobs, threads)
        finally:
            threads.shutdown(cancel_futures=True)

    def _execute(self, jobs: Mapping[int, Job], executor: Executor) -> dict[int, Outcome]:
        futures: dict[Future[Record], int] = {}
        outcomes: dict[int, Outcome] = {}
        try:
            for index, job in jobs.items():
                futures[executor.submit(run_job, job)] = index
            for future in self._as_they_end(futures):
                index = futures[future]
                outcome = outcome_of(jobs[index], future)
                outcomes[index] = outcome
                for observer in self._observers:
                    observer.ended(outcome)
                if self._stop and outcome.status is Status.FAILED:
                    for other in futures:
                        other.cancel()
        except BaseException:
            self._break_off(futures, executor)
            raise
        return outcomes

    def _as_they_end(self, futures: Mapping[Future[Record], int]) -> Iterable[Future[Record]]:
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            for observer in self._observers:
                observer.waited()
            yield from sorted(ended, key=futures.__getitem__)

    def _break_off(self, futures: Iterable[Future[Record]], executor: Executor) -> None:
        """Ctrl-C: start nothing more, let what runs write that it was interrupted."""
        if self._executor is None:  # also what was handed over a moment ago and is not among the futures
            executor.shutdown(wait=False, cancel_futures=True)
        running = [future for future in futures if not future.cancel()]
        pool().interrupt()
        until = time.monotonic() + _LAST_CHANCE_S
        wait(running, timeout=max(0.0, until - time.monotonic()))


def outcome_of(job: Job, future: Future[Record]) -> Outcome:
    """What became of a job that has ended, been cancelled, or been lost."""
    if future.cancelled():
        return not_run(job)
    error = future.exception()
    if error is not None:
        return failed_without_record(job, error)
    record = future.result()
    if record.skipped:
        return Outcome(Status.UP_TO_DATE, job.instance, None, record)
    status = Status.DONE if record.status is Status.DONE else Status.FAILED
    return Outcome(status, job.instance, record.reason, record)


def not_run(job: Job) -> Outcome:
    """The sweep has stopped before it."""
    return Outcome(Status.NOT_RUN, job.instance, job.reason)


def failed_without_record(job: Job, error: BaseException) -> Outcome:
    """It could not be executed, or nobody knows what became of it."""
    return Outcome(Status.FAILED, job.instance, job.reason, failure=of_exception(error))

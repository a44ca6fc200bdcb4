"""One sweep: jobs handed to an executor, results taken as they come, progress told.

There is one path: without an executor of the user's, a thread per worker waits for a worker process;
one worker is a pool of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path

from ductaflow_runtime.conductor.progress import Progress
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.runs.failure import of_exception
from ductaflow_runtime.runs.record import Outcome, Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.pool import cpu_count, pool, run_job

_TICK_S = 0.5
_LAST_CHANCE_S = 15.0


class Sweep:
    """Executes jobs and gives one record for each."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        executor: Executor | None = None,
        stop: bool = False,
        quiet: bool = False,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self.workers = workers or cpu_count()
        self.threads = max(1, cpu_count() // self.workers)
        self._executor = executor
        self._stop = stop
        self._quiet = quiet
        self._tick = tick

    def run(self, jobs: Mapping[int, Job]) -> dict[int, Record]:
        """Execute all jobs; raises nothing for one that fails."""
        if not jobs:
            return {}
        if self._executor is not None:
            return self._conduct(jobs, self._executor)
        threads = ThreadPoolExecutor(min(self.workers, len(jobs)), "ductaflow")
        try:
            return self._conduct(jobs, threads)
        finally:
            threads.shutdown(cancel_futures=True)

    def _conduct(self, jobs: Mapping[int, Job], executor: Executor) -> dict[int, Record]:
        first = next(iter(jobs.values()))
        progress = Progress(first.step, len(jobs), min(self.workers, len(jobs)), self._quiet)
        futures: dict[Future[Record], int] = {}
        records: dict[int, Record] = {}
        try:
            for index, job in jobs.items():
                futures[executor.submit(run_job, job)] = index
            for future in self._as_they_end(futures):
                index = futures[future]
                record = outcome_of(jobs[index], future)
                records[index] = record
                progress.add(record)
                if self._stop and record.outcome is Outcome.FAILED:
                    for other in futures:
                        other.cancel()
        except BaseException:
            self._break_off(futures, executor)
            raise
        finally:
            progress.close()
        return records

    def _as_they_end(self, futures: Mapping[Future[Record], int]) -> Iterable[Future[Record]]:
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            if self._tick is not None:
                self._tick()
            yield from sorted(ended, key=futures.__getitem__)

    def _break_off(self, futures: Iterable[Future[Record]], executor: Executor) -> None:
        """Ctrl-C: start nothing more, let what runs write that it was interrupted."""
        if self._executor is None:  # also what was handed over a moment ago and is not among the futures
            executor.shutdown(wait=False, cancel_futures=True)
        running = [future for future in futures if not future.cancel()]
        pool().interrupt()
        until = time.monotonic() + _LAST_CHANCE_S
        wait(running, timeout=max(0.0, until - time.monotonic()))


def outcome_of(job: Job, future: Future[Record]) -> Record:
    """The record of a job that has ended, been cancelled, or been lost."""
    if future.cancelled():
        return without_record(job, Outcome.NOT_RUN, None)
    error = future.exception()
    if error is not None:
        return without_record(job, Outcome.FAILED, error)
    record = future.result()
    return record.but(outcome=Outcome.DONE if record.status is Status.DONE else Outcome.FAILED)


def without_record(job: Job, outcome: Outcome, error: BaseException | None) -> Record:
    """What is known of an instance that left no record of this attempt."""
    return Record(
        flow=relative_to_root(job.flow, Path(job.root)),
        step=job.step,
        instance_name=job.name,
        status=Status.FAILED,
        reason=job.reason,
        error=None if error is None else of_exception(error),
        directory=job.instance.directory,
        outcome=outcome,
    )

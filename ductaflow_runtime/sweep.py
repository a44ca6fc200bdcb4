"""One sweep: jobs handed to an executor, results taken as they come, progress told.

There is one path: without an executor of the user's, a thread per worker waits for a worker process;
one worker is a pool of one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path

from ductaflow_runtime.ledger import Job
from ductaflow_runtime.pool import cpu_count, pool, run_job
from ductaflow_runtime.progress import Progress
from ductaflow_runtime.project import relative_to_root
from ductaflow_runtime.record import Outcome, Record, Status
from ductaflow_runtime.verdict import describe

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
        with ThreadPoolExecutor(min(self.workers, len(jobs)), "ductaflow") as threads:
            return self._conduct(jobs, threads)

    def _conduct(self, jobs: Mapping[int, Job], executor: Executor) -> dict[int, Record]:
        first = next(iter(jobs.values()))
        progress = Progress(first.step, len(jobs), min(self.workers, len(jobs)), self._quiet)
        futures = {executor.submit(run_job, job): index for index, job in jobs.items()}
        records: dict[int, Record] = {}
        try:
            for future in self._as_they_end(futures):
                index = futures[future]
                record = outcome_of(jobs[index], future)
                records[index] = record
                progress.add(record)
                if self._stop and record.outcome is Outcome.FAILED:
                    for other in futures:
                        other.cancel()
        except KeyboardInterrupt:
            self._break_off(futures)
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

    def _break_off(self, futures: Iterable[Future[Record]]) -> None:
        """Ctrl-C: start nothing more, let what runs write that it was interrupted."""
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
        error=None if error is None else describe(error),
        directory=job.instance.directory,
        outcome=outcome,
    )


def announce(step: str, reasons: Iterable[str | None]) -> str:
    """One line that says what will run and why: the commonest reasons first."""
    counts = Counter(reasons)
    idle = counts.pop(None, 0)
    total = sum(counts.values())
    told = [f"{count} {reason}" for reason, count in counts.most_common(3)]
    if len(counts) > 3:
        told.append(f"{sum(count for _, count in counts.most_common()[3:])} for other reasons")
    why = f" ({'; '.join(told)})" if told else ""
    return f"{step}: {total} to run{why}, {idle} up to date"

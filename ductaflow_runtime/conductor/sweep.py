"""One sweep: jobs handed to an executor a few at a time, outcomes taken as they come, observers told.

There is one path: without an executor of the user's, a thread per worker waits for a worker process;
one worker is a pool of one. What one end of a job costs does not depend on how many jobs there are.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from ductaflow_runtime.conductor.giving_up import Patience
from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import brief
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.project import HIDDEN
from ductaflow_runtime.runs.failure import of_exception
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.dispatch import NotBegunError, run_job
from ductaflow_runtime.worker.pool import cpu_count, pool

_TICK_S = 0.5
_LAST_CHANCE_S = 15.0
_JOBS_A_WORKER = 4  # handed over: one that it executes, the others so that it need not wait for the next
_JOBS_AHEAD = 1_000  # where nobody says how many workers an executor has


@dataclass(frozen=True)
class Given:
    """An executor of the user's, and how many workers it has, if the call says so."""

    executor: Executor
    workers: int | None = None

    @classmethod
    def of(cls, executor: Executor, workers: int | None) -> Given:
        """Raises `ConfigError` for what is no executor."""
        if not callable(getattr(executor, "submit", None)):
            raise ConfigError(
                "executor must be a concurrent.futures.Executor, such as dask.distributed.Client().get_executor() or "
                f"concurrent.futures.ThreadPoolExecutor(4), not {brief(executor)}"
            )
        return cls(executor, workers)


def threads_for(workers: int | None) -> int:
    """How many threads each of so many workers may compute with, as many workers as processors if nobody says."""
    return max(1, cpu_count() // (workers or cpu_count()))


class Sweep:
    """Executes jobs and gives one outcome for each, until `patience` is over.

    `whole` keeps the records' long parts of rows that are done.
    """

    def __init__(
        self,
        workers: int | None,
        observers: Sequence[Observer],
        given: Given | None = None,
        *,
        patience: Patience | None = None,
        whole: bool = False,
    ) -> None:
        self.workers = workers or cpu_count()
        self.threads = threads_for(self.workers)
        self.observers = observers
        self._given = given
        self.patience = patience or Patience()
        self.whole = whole

    def run(self, jobs: Mapping[int, Job]) -> dict[int, Outcome]:
        """Execute all jobs; raises nothing for one that fails."""
        if not jobs:
            return {}
        at_once = min(self.workers, len(jobs))
        with self._flag(next(iter(jobs.values()))) as flag:
            if self._given is not None:
                return self._execute(jobs, Window(self._given, flag), at_once)
            threads = ThreadPoolExecutor(at_once, "ductaflow")
            try:
                return self._execute(jobs, Window(Given(threads, at_once), flag), at_once)
            finally:
                threads.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def _flag(self, job: Job) -> Iterator[Path | None]:
        """The file that tells workers, wherever they are, that a job has failed and no other may begin."""
        if not self.patience.first:
            yield None
            return
        flag = Path(job.runs_dir, HIDDEN, f"stop-{uuid.uuid4().hex}")
        flag.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield flag
        finally:
            flag.unlink(missing_ok=True)

    def _execute(self, jobs: Mapping[int, Job], window: Window, at_once: int) -> dict[int, Outcome]:
        for observer in self.observers:
            observer.begun(len(jobs), at_once, lambda: [jobs[index].instance for index in window.running()])
        outcomes: dict[int, Outcome] = {}
        left = iter(jobs.items())
        try:
            window.fill(left)
            while window.futures:
                ended = window.next_end()
                for observer in self.observers:
                    observer.waited()
                if ended is None:
                    continue
                index, future = ended
                outcome = outcome_of(jobs[index], future)
                outcomes[index] = outcome if self.whole else shortened(outcome)
                for observer in self.observers:
                    observer.ended(outcome)
                if self.patience.is_over(outcome):
                    window.close()
                window.fill(left)
        except BaseException:
            self._break_off(jobs, window)
            raise
        return outcomes | {index: not_run(job) for index, job in left}

    def _break_off(self, jobs: Mapping[int, Job], window: Window) -> None:
        """Ctrl-C: start nothing more, let what runs write that it was interrupted."""
        if self._given is None:  # also what was handed over a moment ago and is not among the futures
            window.executor.shutdown(wait=False, cancel_futures=True)
        running = {index: future for index, future in window.futures.items() if not future.cancel()}
        pool().interrupt()
        try:
            wait(running.values(), timeout=_LAST_CHANCE_S)
        finally:  # another Ctrl-C: what is known is told all the same
            self._tell_broken_off(jobs, running)

    def _tell_broken_off(self, jobs: Mapping[int, Job], running: Mapping[int, Future[Record]]) -> None:
        ended = {index: outcome_of(jobs[index], future) for index, future in running.items() if future.done()}
        done = {index for index, outcome in ended.items() if outcome.status is Status.DONE}
        not_begun = {index for index, outcome in ended.items() if outcome.record is None}
        for observer in self.observers:
            for index in done:
                observer.ended(ended[index])
            observer.broken_off([jobs[index].name for index in running.keys() - done - not_begun])


class Window:
    """The jobs that an executor has at this moment, `futures`: a few for each worker, however many there are.

    `flag` is the file that, once it is there, keeps workers from beginning a job.
    """

    def __init__(self, given: Given, flag: Path | None) -> None:
        self.executor = given.executor
        self.futures: dict[int, Future[Record]] = {}
        self._most = _JOBS_AHEAD if given.workers is None else _JOBS_A_WORKER * given.workers
        self._flag = flag
        self._ended: SimpleQueue[tuple[int, Future[Record]]] = SimpleQueue()
        self._begun = self._closed = False

    def fill(self, left: Iterator[tuple[int, Job]]) -> None:
        """Hand over as many more as there is room for."""
        while not self._closed and len(self.futures) < self._most:
            index, job = next(left, (None, None))
            if index is None or job is None:
                return
            self._submit(index, job if self._flag is None else job.but(unless=str(self._flag)))

    def next_end(self) -> tuple[int, Future[Record]] | None:
        """A job that has ended; `None` if for some time none has."""
        try:
            ended = self._ended.get(timeout=_TICK_S)
        except Empty:
            return None
        del self.futures[ended[0]]
        return ended

    def running(self) -> list[int]:
        """The jobs that are being executed at this moment, as far as the executor tells."""
        return [index for index, future in self.futures.items() if future.running()]

    def close(self) -> None:
        """Begin nothing more, and take back what has not begun."""
        self._closed = True
        if self._flag is not None:
            with contextlib.suppress(OSError):
                self._flag.touch()
        for future in list(self.futures.values()):
            future.cancel()

    def _submit(self, index: int, job: Job) -> None:
        try:
            future = self.executor.submit(run_job, job)
        except Exception as error:
            if not self._begun:
                raise
            future = Future()  # an executor that breaks on the way costs rows, as if it had broken while it had them
            future.set_exception(error)
        self._begun = True
        self.futures[index] = future
        future.add_done_callback(lambda ended: self._ended.put((index, ended)))


def outcome_of(job: Job, future: Future[Record]) -> Outcome:
    """What became of a job that has ended, been cancelled, or been lost."""
    if future.cancelled():
        return not_run(job)
    error = future.exception()
    if isinstance(error, NotBegunError):
        return not_run(job)
    if error is not None:
        return failed_without_record(job, error)
    record = future.result()
    if record.skipped:
        return Outcome(Status.UP_TO_DATE, job.instance, None, record)
    status = Status.DONE if record.status is Status.DONE else Status.FAILED
    return Outcome(status, job.instance, record.reason, record)


def shortened(outcome: Outcome) -> Outcome:
    """Without the long parts of the record of a row that is done: a sweep may hold 100,000 of them."""
    if outcome.record is None or outcome.status is Status.FAILED:
        return outcome
    return replace(outcome, record=outcome.record.without_long_parts())


def not_run(job: Job) -> Outcome:
    """The sweep has stopped before it."""
    return Outcome(Status.NOT_RUN, job.instance, job.reason)


def failed_without_record(job: Job, error: BaseException) -> Outcome:
    """It could not be executed, or nobody knows what became of it."""
    return Outcome(Status.FAILED, job.instance, job.reason, failure=of_exception(error))

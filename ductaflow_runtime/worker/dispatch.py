"""The one function that has an instance executed, as every scheduler sees it, ours or any other `Executor`.

It takes a job, has a worker of this process do it, and gives the record.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.secrets import mask_of
from ductaflow_runtime.errors import (
    DuctaflowError,
    FlowFileError,
    InstanceBusyError,
    ProjectError,
    RecordError,
    WorkerError,
)
from ductaflow_runtime.execution.context import aside
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import NOT_BEGUN, lost
from ductaflow_runtime.runs.lock import is_free
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import BUSY, decide, mark_of
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.worker.fitness import installed_state
from ductaflow_runtime.worker.fork_verdicts import verdicts_for
from ductaflow_runtime.worker.pool import pool
from ductaflow_runtime.worker.process import BrokenOffError, RefusedAheadError, UnfitError, Worker

# What a message of ours says whole.
_REASONS: dict[str, type[DuctaflowError]] = {
    kind.__name__: kind for kind in (InstanceBusyError, FlowFileError, ProjectError, RecordError, WorkerError)
}
_LOOK_S = 0.1
_LAST_BREATH_S = 5.0


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
            record = _run_with_retries(job)
        failed = record.status is not Status.DONE
    finally:
        if failed and flag is not None:
            with contextlib.suppress(OSError):
                flag.touch()
    return record


def _run_with_retries(job: Job) -> Record:
    """Also execute again, at once, what has failed and may pass, as often as the job allows."""
    workers = pool()
    interrupts = workers.interrupts
    record = _run_job(job)
    for number in range(1, job.retries + 1):
        failed = record.status is Status.FAILED and record.error is not None and record.error.may_pass
        if not failed or workers.interrupts != interrupts:
            break
        workers.retries.append(f"{job.step}/{job.name}: retry {number} of {job.retries}, after {_cause(record)}")
        record = _run_job(job.but(planned=mark_of(record), attempts=_attempts_so_far(record)))
    return record


def _cause(record: Record) -> str:
    return record.error.headline if record.error is not None else ""


def _attempts_so_far(record: Record) -> list[dict[str, Any]]:
    """Those that a failed record tells of, and itself, under the name that its log gets when it makes room."""
    from ductaflow_runtime.execution.entry import attempt_of

    earlier = (record.attempts or [])[:-1]
    return [*earlier, attempt_of(record, f"run.attempt-{len(earlier) + 1}.log")]


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
    plan = decide(job.instance, Present(job.project, kernels={Path(job.flow): job.kernel_name}))
    waited = f" (waited {job.wait:g} s)" if job.wait else ""
    return InstanceBusyError(f"{plan.busy or busy}{waited}")


def _run_on_worker(job: Job) -> Record:
    workers = pool()
    interrupts = workers.interrupts
    verdicts = verdicts_for(job, installed_state())
    last = False
    while True:
        allowed = verdicts.applied(workers.allowed(job))
        try:
            with workers.lend(allowed) as (worker, lane):
                if workers.interrupts != interrupts:
                    raise WorkerError(NOT_BEGUN)
                return _have_done(allowed.but(lane=lane), worker)
        except UnfitError as error:
            if workers.interrupts != interrupts:
                raise WorkerError(NOT_BEGUN) from None
            verdicts.add(error.name, error.reason, keep=error.keep)
            job = without_imports(job, allowed, error.name)
        except RefusedAheadError as error:
            if workers.interrupts != interrupts:
                raise WorkerError(NOT_BEGUN) from None
            workers.refuse(job, str(error))
        except BrokenOffError as error:
            # A warm process may have died of old age (out of memory, killed): that is no fault of this job.
            if last or workers.interrupts != interrupts:
                raise WorkerError(str(error)) from None
            last = True


def without_imports(job: Job, sent: Job, blamed: str) -> Job:
    """The job for the next worker, without any import ahead if the last one left `blamed` alone in vain."""
    return job.but(preload=[], learns=False) if blamed in sent.avoid else job


def _have_done(job: Job, worker: Worker) -> Record:
    """The job's record; raises `UnfitError` and `BrokenOffError` if nothing has begun."""
    try:
        reply = worker.run(job)
    except BrokenOffError as error:
        told = WorkerError(mask_of(job.config).text(str(error)))
        record = _without_worker(job, worker, told) if worker.has_begun() else None
        if record is None:
            raise
        return record
    if "not begun" in reply:
        raise BrokenOffError(f"{job.step}/{job.name} could not be executed: {reply['not begun']}")
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


def _without_worker(job: Job, worker: Worker, error: WorkerError) -> Record | None:
    """The worker itself died, and with it perhaps the record of what it was doing; `None` if no flow had begun."""
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
        if told.foreign is None:
            return None  # and the record is an earlier one's: the row may not say other than that
        raise error
    return _record_of(job, {})

"""A worker: forked from a base process, or `python -m ductaflow_runtime.worker`.

It imports what executions need, stays single-threaded, reads one job a line, and forks one child per
instance, so that a fresh process costs almost nothing. It is not `multiprocessing`: that would import the
conductor again, and its children may have no children. Where fork is not to be had, the child is a
fresh interpreter (`--child`); the rest is the same. The worker ends when the pipe of its commands does.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import ConfigError, RecordError, WorkerError
from ductaflow_runtime.execution.assignment import INTERRUPTED, Clock
from ductaflow_runtime.execution.entry import Conclusion
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.kernel.capture import open_pipes
from ductaflow_runtime.memory import limit_problem
from ductaflow_runtime.runs.failure import Failure, died, interrupted, not_begun, of_exception, out_of_memory
from ductaflow_runtime.runs.record import read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.child import Child, fork_child, spawn_child
from ductaflow_runtime.worker.commands import INTERRUPT, Commands
from ductaflow_runtime.worker.crash import settle
from ductaflow_runtime.worker.fitness import forks
from ductaflow_runtime.worker.journal import read_end, read_journal
from ductaflow_runtime.worker.leftovers import note_worker
from ductaflow_runtime.worker.meter import Meter
from ductaflow_runtime.worker.preload import Preloader
from ductaflow_runtime.worker.process import UnfitError, starting_a_process
from ductaflow_runtime.worker.supervise import ChildEnd, Limits, Process, supervise


class Server:
    """A worker at work: its pipes to the parent, its scratch folder, and what it has imported ahead."""

    def __init__(self, scratch: Path, commands: Commands, replies: int, preloader: Preloader) -> None:
        self._scratch = scratch
        self._commands = commands
        self._replies = replies
        self._preloader = preloader
        self._leaves = False  # after this job, for the process of the last one does not end

    def run(self) -> None:
        """One job after the other, until the parent is gone."""
        note_worker(self._scratch)
        while (line := self._commands.next_line()) is not None:
            if line == INTERRUPT:
                continue  # it came after the instance had ended
            try:
                reply = self.serve(Job(**json.loads(line)))
            except UnfitError as error:
                reply = {"unfit": error.told()}
            os.write(self._replies, (json.dumps(reply) + "\n").encode())
            if self._leaves:
                return

    def serve(self, job: Job) -> dict[str, Any]:
        """Have one instance executed; gives only what the record on disk cannot say.

        Raises `UnfitError` if this process can serve no longer; nothing has begun then.
        """
        problem = limit_problem(job.max_memory)
        if problem is not None:
            return {"fatal": of_exception(ConfigError(problem)).to_json()}
        forks = self._make_ready_to_fork(job)
        self._commands.wait(0)
        if self._commands.take_line() == INTERRUPT:
            return {"fatal": not_begun().to_json()}
        mark = self._scratch / INTERRUPTED
        mark.unlink(missing_ok=True)  # it was of an earlier job
        child = Child(job, self._scratch, open_pipes(), Clock.start(job.timeout), os.getpid())
        limits = Limits(child.clock, Meter(job.max_memory, self._scratch))
        try:
            process = self._start(child, forks)
            end = supervise(process, self._commands, limits, job.instance.directory, mark)
            if end.stuck:
                self._leaves = True
                raise _does_not_end(child, end)
            reply = self._settle(child, end)
        except WorkerError as error:
            return {"fatal": of_exception(error).to_json()}
        finally:
            for reader, _ in child.pipes.values():
                os.close(reader)
        if end.parent_gone:
            raise SystemExit
        return reply

    def _make_ready_to_fork(self, job: Job) -> bool:
        """Import ahead what the flow needs; whether a child can be forked then."""
        if not forks(job):
            return False
        self._preloader.warm_up(job)
        return threading.active_count() == 1  # a thread that nobody saw begin: no fork after that

    def _start(self, child: Child, forks: bool) -> Process:
        try:
            with starting_a_process():
                of_worker = [*self._commands.descriptors, self._replies]
                return fork_child(child, of_worker) if forks else spawn_child(child)
        finally:
            for _, writer in child.pipes.values():
                os.close(writer)

    def _settle(self, child: Child, end: ChildEnd) -> dict[str, Any]:
        """Make sure that the record says how the execution ended; else say why there is none."""
        told = (read_end(child.journal) if end.code == 0 else None) or read_journal(child.journal)
        self._preloader.learn(told.imported)
        if told.closed:
            return {"up to date": True} if told.up_to_date else {}
        fatal = told.fatal or (_death(child, end) if end.code != 0 else None)
        if told.started is not None:
            ended = fatal.message if fatal is not None else None
            done = settle(child.job, told, ended, _unread_output(child), _conclusion(child, end, told.fatal))
            # Where the folder was its own once and the record is not, another process has it now: that one tells.
            fatal = None if done or told.foreign is not None else fatal
        if fatal is None:
            return {}
        if told.started is None and told.fatal is None:
            fatal = _ended_before(child, end) or fatal
        told_to_end = end.timed_out or end.out_of_memory or end.interrupted or end.parent_gone
        begun = told.fatal is not None or told_to_end or _has_left_record(child, end)
        return {"fatal": fatal.to_json()} if begun else {"not begun": fatal.message}


def _conclusion(child: Child, end: ChildEnd, fatal: Failure | None) -> Conclusion:
    """What the record says of a child that could not say it itself."""
    if end.timed_out:
        return Conclusion(Status.FAILED, child.clock.failure(), usage=end.usage)
    if end.interrupted or end.parent_gone:
        return Conclusion(Status.INTERRUPTED, interrupted(), usage=end.usage)
    return Conclusion(Status.FAILED, fatal or _death(child, end), usage=end.usage)


def _ended_before(child: Child, end: ChildEnd) -> Failure | None:
    """Why this worker ended a process that had not begun yet, if it did."""
    if end.timed_out:
        return child.clock.failure()
    return not_begun() if end.interrupted or end.parent_gone else None


def _death(child: Child, end: ChildEnd) -> Failure:
    """Why its process is gone."""
    limit, peak = child.job.max_memory, end.usage.peak_memory
    if end.out_of_memory and limit is not None and peak is not None:
        return out_of_memory(limit, peak)
    return died(end.code)


def _has_left_record(child: Child, end: ChildEnd) -> bool:
    """Whether the record is its own, although it has told nothing: a flow may empty the temporary directory."""
    with contextlib.suppress(RecordError):
        record = read_record(child.job.instance.directory)
        return record is not None and (record.environment or {}).get("pid") == end.pid
    return True


def _does_not_end(child: Child, end: ChildEnd) -> WorkerError:
    """It was killed in vain: a row that fails, and an instance that runs until the system lets go of it."""
    why = (child.clock.failure() if end.timed_out else interrupted()).message
    return WorkerError(
        f"{child.job.step}/{child.job.name} was ended ({why}), but its process {end.pid} still waits for something in "
        "the system, such as a network drive that does not answer; until it ends, the instance counts as running"
    )


def _unread_output(child: Child) -> dict[str, str]:
    """What the child printed and nobody read, such as the message of a crash in C code."""
    unread: dict[str, str] = {}
    for name, (reader, _) in child.pipes.items():
        os.set_blocking(reader, False)
        with contextlib.suppress(OSError):
            unread[name] = os.read(reader, 1 << 20).decode("utf-8", "replace")
    return unread

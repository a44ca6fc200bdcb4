"""The account of one execution on disk: from the clean folder to the final record.

`open_entry` sets aside what the previous execution wrote and says `running`; `Entry.close` says what
became of it. Notebook execution, a script with `--output-dir`, and a worker whose child has died
all go through here, so a record means the same however the flow was run.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ductaflow_runtime.config import values as configs
from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.execution.job import Job, command_line
from ductaflow_runtime.execution.usage import UNKNOWN, Usage
from ductaflow_runtime.files import FileState, write_atomically
from ductaflow_runtime.runs.artifacts import NO_FILE, Snapshot, clear_folders, clear_halves, describe_files, snapshot
from ductaflow_runtime.runs.claim import host_name
from ductaflow_runtime.runs.durable import write_durably
from ductaflow_runtime.runs.failure import FOLDER_REMOVED, Failure
from ductaflow_runtime.runs.fingerprint import Fingerprint
from ductaflow_runtime.runs.instance import CONFIG_NAME, LOG_NAME, written_by_runtime
from ductaflow_runtime.runs.kept import Keep, distrust, previous_of
from ductaflow_runtime.runs.previous import drop_previous, make_way, set_aside
from ductaflow_runtime.runs.reclaim import move_away, reclaim
from ductaflow_runtime.runs.record import FILE_NAME, Record, now, read_record, write_record
from ductaflow_runtime.runs.states import Status


@dataclass(frozen=True)
class Conclusion:
    """What the record says of an execution that has ended; `None` where nobody knows.

    `made` are the names, in the instance's folder, of what the flow was seen to write or to put there.
    """

    status: Status
    error: Failure | None = None
    warnings: int | None = None
    results: dict[str, Any] | None = None
    fingerprint: Fingerprint | None = None
    made: frozenset[str] = frozenset()
    tables: dict[str, Any] | None = None
    usage: Usage = UNKNOWN
    outside: list[str] | None = None

    def spoiled_by(self, problem: Failure | None) -> Conclusion:
        """The same of a flow that did this to its folder; its own error comes first, if it had a folder then."""
        if problem is None:
            return self
        keeps = self.error is not None and problem.type != FOLDER_REMOVED
        return replace(self, status=Status.FAILED, error=self.error if keeps else problem)


@dataclass(frozen=True)
class Entry:
    """One execution that has begun. `foreign` are the files that were there before, if that is known.

    `before` is what went into the execution before this one, `outside` what the attempts before it, of the same call,
    were seen to change outside the folder; `None` if nobody knows.
    """

    job: Job
    record: Record
    foreign: Snapshot | None
    before: Fingerprint | None = None
    outside: tuple[str, ...] | None = ()

    def close(self, conclusion: Conclusion) -> Record:
        """Write the final record. A success takes the place of the results before it, which may be kept for a while."""
        conclusion = conclusion.spoiled_by(self.reclaim())
        finished = now()
        started = datetime.datetime.fromisoformat(self.record.started or finished)
        duration = (datetime.datetime.fromisoformat(finished) - started).total_seconds()
        outputs, links = self._written(conclusion.made)
        final = self.record.but(
            finished=finished,
            duration_s=round(max(duration, 0.0), 3),
            cpu_s=conclusion.usage.rounded_cpu,
            peak_memory=conclusion.usage.peak_memory,
            outputs=outputs,
            links=links,
            status=conclusion.status,
            error=conclusion.error,
            warnings=conclusion.warnings,
            results=conclusion.results,
            tables=conclusion.tables,
            fingerprint=_note_repetition(conclusion.fingerprint, self.before),
            outside=self._outside(conclusion),
            foreign=None,
        )
        if self.record.attempts:
            final = final.but(attempts=[*self.record.attempts, attempt_of(final, LOG_NAME)])
        if conclusion.status is Status.DONE:
            write_durably(final)
            drop_previous(self.job.instance, outputs, _keep(self.job))
        else:
            write_record(final)
        return final

    def reclaim(self) -> Failure | None:
        """Have the folder as a record needs it; gives what the flow has done to it, if it has and nobody knows yet."""
        problem = reclaim(self.job.instance, self.record.flow_stem)
        if problem is not None:
            config = self.record.directory / CONFIG_NAME
            if not config.exists():
                write_atomically(config, configs.dump(self.job.config))
        return problem

    def has_written(self, name: str) -> bool:
        """Whether this execution has written a file in the instance's folder, as far as that is known."""
        return name in self._written()[0]

    def _outside(self, conclusion: Conclusion) -> list[str] | None:
        """`None` also where the files alone would not bring the result back: it has folders that are empty."""
        if self.outside is None or conclusion.outside is None or _has_empty_folder(self.record.directory):
            return None
        return sorted({*self.outside, *conclusion.outside})

    def _written(self, made: Container[str] = ()) -> tuple[dict[str, FileState], list[str]]:
        """The files that the execution wrote, and what else it made: what was not there before, or has changed."""
        if self.foreign is None:
            # Not knowing whose files these are, claim none: what is claimed, the next execution clears away.
            return {}, []
        directory = self.record.directory
        found = snapshot(directory, self.record.flow_stem)
        new = {name: seen for name, seen in sorted(found.items()) if tuple(self.foreign.get(name, ())) != seen}
        files = {name: seen for name, seen in new.items() if seen != NO_FILE}
        return describe_files(directory, files, made), [name for name, seen in new.items() if seen == NO_FILE]


def open_entry(job: Job, started: str | None = None, *, here: bool = True) -> Entry:
    """Make the folder ready and say `running`, since `started` or now. The caller holds the instance's lock.

    `here` says that this Python executes the flow.
    """
    directory = job.instance.directory
    directory.mkdir(parents=True, exist_ok=True)
    try:
        before = read_record(directory)
    except RecordError:
        before = None
    running = running_record(job, before, started or now(), here=here)
    _clear(job, before, running)
    foreign = snapshot(directory, running.flow_stem)
    write_atomically(directory / CONFIG_NAME, configs.dump(job.config))
    (directory / LOG_NAME).touch()
    running = running.but(outputs=None, links=None, foreign=sorted(foreign))
    write_record(running)
    fingerprint = before.fingerprint if before is not None else None
    return Entry(job, running, foreign, fingerprint, _outside_of_attempts(job, before))


def _outside_of_attempts(job: Job, before: Record | None) -> tuple[str, ...] | None:
    """The record of the attempt before this one tells of all of them."""
    if not job.attempts:
        return ()
    return None if before is None or before.outside is None else tuple(before.outside)


def _has_empty_folder(directory: Path) -> bool:
    return any(not folders and not names for place, folders, names in os.walk(directory) if place != str(directory))


def _note_repetition(seen: Fingerprint | None, before: Fingerprint | None) -> Fingerprint | None:
    """An input that changed during this execution and the one before is probably written by the flow itself."""
    if seen is None or before is None:
        return seen
    repeated = [path for path, told in seen.inputs.items() if told.get("changed")]
    repeated = [path for path in repeated if before.inputs.get(path, {}).get("changed")]
    return replace(seen, inputs=seen.inputs | {path: {**seen.inputs[path], "again": True} for path in repeated})


def running_record(job: Job, before: Record | None, started: str, *, here: bool = True) -> Record:
    """It lists what the previous execution wrote until that is cleared away."""
    return Record(
        flow=job.project.relative(job.flow),
        step=job.step,
        instance_name=job.name,
        status=Status.RUNNING,
        reason=job.reason,
        started=started,
        command=command_line(job),
        outputs=before.outputs if before is not None else None,
        links=before.links if before is not None else None,
        environment=_place_of_execution(job, platform.python_version() if here else None),
        attempts=job.attempts or None,
        dates=job.dates,
        directory=job.instance.directory,
    )


def attempt_of(record: Record, log: str) -> dict[str, Any]:
    """What a record says of one of several attempts, whose log has this name."""
    error = None if record.error is None else record.error.headline
    return {"status": record.status, "error": error, "duration_s": record.duration_s, "log": log}


def _place_of_execution(job: Job, python: str | None) -> dict[str, Any]:
    """The `environment` of a record; `python` is the version of what executes the flow, if that is known."""
    return {
        "python": python,
        "platform": f"{sys.platform}-{platform.machine()}",
        "host": host_name(),
        "git_commit": job.git.get("git_commit"),
        "git_dirty": job.git.get("git_dirty"),
        "pid": os.getpid(),
        "worker": job.lane,
    }


def _keep(job: Job) -> Keep:
    return Keep(job.keep, job.keep_size)


def _clear(job: Job, before: Record | None, running: Record) -> None:
    instance = job.instance
    if before is None or job.force:  # the folder was deleted, or it was said
        distrust(instance, running.started or "", make=before is not None or previous_of(instance).is_dir())
    if before is not None:
        set_aside(instance, before, running, _keep(job))
        clear_folders(instance.directory)
    else:
        make_way(instance, running.flow_stem)
    move_away(instance, written_by_runtime(running.flow_stem) - {FILE_NAME})
    clear_halves(instance.directory, running.flow_stem)

"""The account of one execution on disk: from the clean folder to the final record.

`open_entry` sets aside what the previous execution wrote and says `running`; `Entry.close` says what
became of it. Notebook execution, a script with `--output-dir`, and a worker speaking for a dead child
all go through here, so a record means the same however the flow was run.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ductaflow_runtime import config as configs
from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import relative_to_root, write_atomically
from ductaflow_runtime.runs.artifacts import (
    NO_FILE,
    Snapshot,
    clear_folders,
    describe_files,
    kept_folder,
    previous_folder,
    remove_file,
    set_aside,
    snapshot,
)
from ductaflow_runtime.runs.instance import CONFIG_NAME, LOG_NAME, Instance, written_by_runtime
from ductaflow_runtime.runs.record import FILE_NAME, Record, now, read_record, write_record
from ductaflow_runtime.runs.state import host_name
from ductaflow_runtime.runs.states import Status

# What an executing process tells as it goes, in a folder that its worker and the parent know.
JOURNAL = "journal.jsonl"
NOT_BEGUN = "interrupted before it began"


@dataclass(frozen=True)
class Job:
    """All that a worker needs to execute one instance; plain JSON values, so that it travels anywhere."""

    root: str
    runs_dir: str
    flow: str
    step: str
    name: str
    config: dict[str, Any]
    reason: str = "new"
    timeout: float | None = None
    export_html: bool = False
    show_code: bool = True
    kernel_name: str | None = None
    engine: str = "fork"
    preload: list[str] | None = None
    threads: int = 1
    environment: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None

    @property
    def instance(self) -> Instance:
        """The instance that this job executes."""
        folder = None if self.folder is None else Path(self.folder)
        return Instance(Path(self.flow), self.step, self.name, self.config, Path(self.runs_dir), folder)

    def but(self, **changes: Any) -> Job:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass
class Entry:
    """One execution that has begun. `foreign` are the files that were there before, if that is known."""

    job: Job
    record: Record
    foreign: Snapshot | None

    def close(self, status: Status, **facts: Any) -> Record:
        """Write the final record; `facts` are its fields. A success drops the results kept before it."""
        finished = now()
        started = datetime.datetime.fromisoformat(self.record.started or finished)
        duration = (datetime.datetime.fromisoformat(finished) - started).total_seconds()
        final = self.record.but(
            status=status,
            finished=finished,
            duration_s=round(max(duration, 0.0), 3),
            **self._written(),
            **facts,
        )
        write_record(final)
        if status is Status.DONE:
            shutil.rmtree(previous_folder(self.job.instance), ignore_errors=True)
        return final

    def _written(self) -> dict[str, Any]:
        """What the execution wrote: what was not there before, or has changed since."""
        if self.foreign is None:
            # Not knowing whose files these are, claim none: what is claimed, the next execution clears away.
            return {"outputs": {}, "links": []}
        directory = self.record.directory
        found = snapshot(directory, self.record.flow_stem)
        new = {name: seen for name, seen in sorted(found.items()) if tuple(self.foreign.get(name, ())) != seen}
        return {
            "outputs": describe_files(directory, {name: seen for name, seen in new.items() if seen != NO_FILE}),
            "links": [name for name, seen in new.items() if seen == NO_FILE],
        }


def open_entry(job: Job) -> Entry:
    """Make the folder ready and say `running`. The caller holds the instance's lock."""
    instance = job.instance
    directory = instance.directory
    directory.mkdir(parents=True, exist_ok=True)
    try:
        before = read_record(directory)
    except RecordError:
        before = None
    running = Record(
        flow=relative_to_root(instance.flow, Path(job.root)),
        step=job.step,
        instance_name=job.name,
        status=Status.RUNNING,
        reason=job.reason,
        started=now(),
        command=command_line(job),
        outputs=before.outputs if before is not None else None,
        environment=environment(job),
        directory=directory,
    )
    if before is not None:
        set_aside(instance, before, running)
        clear_folders(directory)
    else:
        # No execution of ours wrote these: out of the way they go, but nothing is deleted.
        for name in written_by_runtime(running.flow_stem) - {FILE_NAME, CONFIG_NAME}:
            remove_file(directory, name, kept_folder(instance))
    foreign = snapshot(directory, running.flow_stem)
    write_atomically(directory / CONFIG_NAME, configs.dump(job.config))
    (directory / LOG_NAME).touch()
    running = running.but(outputs=None)
    write_record(running)
    return Entry(job, running, foreign)


def environment(job: Job) -> dict[str, Any]:
    """Where an execution takes place."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "host": host_name(),
        "git_commit": job.environment.get("git_commit"),
        "git_dirty": job.environment.get("git_dirty"),
        "pid": os.getpid(),
        "worker": job.environment.get("worker"),
    }


def command_line(job: Job) -> str:
    """The one line that reproduces an instance, typed in the project root."""
    root = Path(job.root)
    folder = relative_to_root(job.instance.directory, root)
    flow = relative_to_root(job.flow, root)
    config = f"{folder}/{CONFIG_NAME}"
    if flow.endswith(".py") and job.kernel_name is None:
        parts = ["python", flow, "--config", config, "--output-dir", folder]
    else:
        parts = ["ductaflow", "run", flow, "--config", config, "--step", job.step, "--name", job.name]
    return shlex.join(parts)

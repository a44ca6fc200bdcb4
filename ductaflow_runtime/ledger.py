"""The account of one execution on disk: from the clean folder to the final record.

`open_entry` sets aside what the previous execution wrote and says `running`; `Entry.close` says what
became of it. Notebook execution, a script with `--output-dir`, and a worker speaking for a dead child
all go through here, so a record means the same however the flow was run.
"""

from __future__ import annotations

import contextlib
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
from ductaflow_runtime.content import Contents, hash_file, stat_file
from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.instance import CONFIG_NAME, HIDDEN, LOG_NAME, Instance, host_name, written_by_runtime
from ductaflow_runtime.project import relative_to_root
from ductaflow_runtime.record import (
    FILE_NAME,
    Record,
    Status,
    now,
    read_record,
    write_atomically,
    write_record,
)

Snapshot = dict[str, tuple[int, int]]


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
    """One execution that has begun."""

    job: Job
    record: Record
    foreign: Snapshot

    def close(self, status: Status, **facts: Any) -> Record:
        """Write the final record; `facts` are its fields. A success drops the results kept before it."""
        directory = self.record.directory
        finished = now()
        started = datetime.datetime.fromisoformat(self.record.started or finished)
        duration = (datetime.datetime.fromisoformat(finished) - started).total_seconds()
        final = self.record.but(
            status=status,
            finished=finished,
            duration_s=round(max(duration, 0.0), 3),
            outputs=find_outputs(directory, self.foreign, self.record.flow_stem),
            **facts,
        )
        write_record(final)
        if status is Status.DONE:
            shutil.rmtree(previous_folder(self.job.instance), ignore_errors=True)
        return final


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
        _set_aside(instance, before, running)
    else:
        # No execution of ours wrote these: out of the way they go, but nothing is deleted.
        for name in written_by_runtime(running.flow_stem) - {FILE_NAME, CONFIG_NAME}:
            _remove(directory, name, kept_folder(instance))
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


def previous_folder(instance: Instance) -> Path:
    """Where the last good results are kept while a new execution has not succeeded."""
    return instance.runs_dir / HIDDEN / "previous" / _address(instance)


def kept_folder(instance: Instance) -> Path:
    """Where outputs go that somebody has edited since: the runtime never deletes them."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return instance.runs_dir / HIDDEN / "edited" / _address(instance) / stamp


def _address(instance: Instance) -> Path:
    if instance.folder is None:
        return Path(instance.step, instance.name)
    return Path("elsewhere", configs.digest({"folder": str(instance.folder)}))


def _set_aside(instance: Instance, before: Record, running: Record) -> None:
    """Move away what the previous execution wrote; keep it if it was good, drop it if it was not.

    The `running` record, which still lists the files, comes first: broken off at any point, the next
    execution finds a record that says interrupted and knows whose files these are.
    """
    directory = instance.directory
    keep = previous_folder(instance)
    good = before.status is Status.DONE
    if good:
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory / FILE_NAME, keep / FILE_NAME)
    write_record(running)
    for name in sorted(written_by_runtime(before.flow_stem) - {FILE_NAME}):
        _remove(directory, name, keep if good else None)
    contents = Contents()
    edited = kept_folder(instance)
    for name, stored in (before.outputs or {}).items():
        path = os.path.join(directory, name)
        same = not good or contents.stat(path) is None or contents.is_same(path, stored)
        _remove(directory, name, (keep if good else None) if same else edited)


def _remove(directory: Path, name: str, to: Path | None) -> None:
    source = directory / name
    if not source.is_symlink() and not source.exists():
        return
    if to is None:
        source.unlink()
    else:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    for folder in source.parents:
        if folder == directory:
            break
        with contextlib.suppress(OSError):
            folder.rmdir()


def snapshot(directory: Path, flow_stem: str) -> Snapshot:
    """The files in an instance folder that are not the runtime's: path -> (size, time)."""
    found: Snapshot = {}
    own = written_by_runtime(flow_stem)
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            relative = relative_to_root(path, directory)
            if relative in own or (folder == os.fspath(directory) and name.endswith(".tmp") and name[0] == "."):
                continue
            stat = stat_file(path)
            if stat is not None:
                found[relative] = (stat.size, stat.mtime_ns)
    return found


def find_outputs(directory: Path, foreign: Snapshot, flow_stem: str) -> dict[str, dict[str, Any]]:
    """What the execution wrote: files that were not there before, or have changed since."""
    outputs: dict[str, dict[str, Any]] = {}
    for name, (size, mtime_ns) in sorted(snapshot(directory, flow_stem).items()):
        if tuple(foreign.get(name, ())) != (size, mtime_ns):
            with contextlib.suppress(OSError):  # gone again: a process of the flow is still cleaning up
                outputs[name] = {
                    "size": size,
                    "sha256": hash_file(directory / name),
                    "mtime_ns": mtime_ns,
                }
    return outputs

"""A script's run that counts like any other: same folder, same log, same record, written when the script ends."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
from pathlib import Path

from ductaflow_runtime.config.secrets import MaskedStreams, known_mask
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import ConfigError, shown
from ductaflow_runtime.execution.context import begin
from ductaflow_runtime.execution.copied_inputs import copied_inputs
from ductaflow_runtime.execution.elsewhere import warn_of_patterns
from ductaflow_runtime.execution.entry import Conclusion, Entry, open_entry
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.masking import masked_failure
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.script_end import ScriptEnd
from ductaflow_runtime.execution.script_reads import tracker_in
from ductaflow_runtime.execution.script_text import ScriptText, check_text
from ductaflow_runtime.execution.usage import Usage, own_cpu
from ductaflow_runtime.execution.warning_count import count_warnings
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.kernel.capture import Capture
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.kernel.shutdown import open_files, settle_files
from ductaflow_runtime.project import HIDDEN, Project
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.instance import LOG_NAME, check_name
from ductaflow_runtime.runs.kept import all_kept, drop_oldest
from ductaflow_runtime.runs.lock import acquire
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import decide
from ductaflow_runtime.staleness.imports import local_modules
from ductaflow_runtime.staleness.named import named_in
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.take_fingerprint import fingerprint

_MOST_RESULTS = 5
_LONGEST = 60


def begin_script_run(script: ScriptText, root: Path, config: Config, directory: Path) -> None:
    """Make the output directory this process's instance, and see to its log and its record.

    Raises `FlowFileError` if the script's file no longer holds the text that runs: no record could tell of that.
    """
    check_text(script)
    flow, project = script.path, Project.at(root)
    present = Present(project, {flow: script.content}, {flow: None})
    code = present.code(flow)
    job = _make_job(project, flow, config, directory)
    plan = decide(job.instance, present)
    entry = _open(job.but(reason=plan.reason or "command line", force=plan.reason is None), busy=plan.busy is not None)
    tracker = tracker_in(project, directory)
    named = named_in(code, config)
    tracker.name_all(named)
    execution = Execution(root, directory, project.runs_dir, tracker, script=True)
    begin(execution)
    inputs = contextlib.ExitStack()
    if project.settings.copy_inputs:
        inputs.enter_context(copied_inputs(named, flow, directory, tracker))
    ScriptRun(entry, code, execution, inputs).start()


def _make_job(project: Project, flow: Path, config: Config, directory: Path) -> Job:
    """The directory says step and name, if it lies where instances do."""
    inside = directory.parent.parent == project.runs_dir
    return Job(
        root=str(project.root),
        runs_dir=str(project.runs_dir),
        flow=str(flow),
        step=check_name(directory.parent.name, "step name") if inside else flow.stem,
        name=check_name(directory.name) if inside else directory.name,
        config=config,
        copy_inputs=project.settings.copy_inputs,
        folder=None if inside else str(directory),
        git=project.git_state(),
        script=True,
        keep=project.settings.keep,
        keep_size=project.settings.bytes_kept,
    )


def _open(job: Job, busy: bool) -> Entry:
    directory = job.instance.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if job.folder is None:
            (Path(job.runs_dir) / HIDDEN).mkdir(exist_ok=True)
        if busy or not acquire(directory):
            raise ConfigError(f"{directory} is being written by another process at this moment")
        entry = open_entry(job)
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"--output-dir {directory} cannot be used: {error.strerror or error}") from None
    return entry


class ScriptRun:
    """Sees the script to its end: output into the log, then the record."""

    def __init__(self, entry: Entry, code: FlowCode, execution: Execution, inputs: contextlib.ExitStack) -> None:
        self.entry = entry
        self.inputs = inputs
        self.code = code
        self.execution = execution
        self.end = ScriptEnd(entry.job)
        self.owner = os.getpid()
        self.warned = execution.warned = count_warnings()
        self.log = Log(entry.record.directory / LOG_NAME)
        self.masked = MaskedStreams(known_mask())
        self.capture = Capture(self._take)

    def start(self) -> None:
        """Hook into the output, and into what tells how a script ends."""
        _flush_streams()
        self.capture.start()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        self.end.listen()
        atexit.register(self.close)
        warn_of_patterns(self.execution, Path(self.entry.job.flow))
        self.execution.tracker.active = True

    def close(self) -> None:
        """The script has ended: write the record."""
        if os.getpid() != self.owner:
            return
        tracker, job = self.execution.tracker, self.entry.job
        tracker.active = False
        _flush_streams()
        settle_files("flush", open_files())
        self.capture.stop()
        for name, text in self.masked.rest().items():
            self._show(name, text)
        self.log.close()
        self.inputs.close()
        status, error = self.end.judge()
        seen = fingerprint(
            self.code,
            tracker,
            Contents(job.project.hash_cache),
            flow=job.flow,
            config=job.config,
            started=self.entry.record.started or "",
            modules=local_modules(job.root),
            kernel=None,
        )
        made = frozenset(tracker.made)
        results, tables = self.execution.named_results, self.execution.tables
        usage = Usage(own_cpu())
        error = masked_failure(error, known_mask())
        concluded = Conclusion(status, error, self.warned.count, results, seen, made, tables, usage)
        record = self.entry.close(concluded)
        if job.keep:
            drop_oldest(all_kept(Path(job.runs_dir)), job.keep_size)
        if record.status is Status.DONE:  # else the error is the last word
            with contextlib.suppress(OSError, ValueError):  # nobody reads the terminal any more
                print(shown(last_line(record)), file=sys.stderr)  # noqa: T201

    def _take(self, name: str, text: str, at_once: bool) -> None:
        """Output goes to the log, and on to where it went before, without secrets."""
        self._show(name, self.masked.feed(name, text), at_once)

    def _show(self, name: str, text: str, at_once: bool = False) -> None:
        self.log.feed(name, text, at_once)
        with contextlib.suppress(OSError):  # nobody reads the terminal any more; the log has it
            os.write(self.capture.original(name), text.encode("utf-8", "replace"))


def last_line(record: Record) -> str:
    """A script's run that has ended well, as one line: the results that it saved, and where all of it lies."""
    saved = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in (record.results or {}).items()]
    saved += [f"table {name} ({told['rows']} rows)" for name, told in (record.tables or {}).items()]
    more = [f"{len(saved) - _MOST_RESULTS} more"] if len(saved) > _MOST_RESULTS else []
    told = "; ".join(map(_shorten, (*saved[:_MOST_RESULTS], *more)))
    took = "" if record.duration_s is None else f" in {record.duration_s:.3g} s"
    ending = f"{record.status}{took}" + (f": {told}" if told else "")
    return f"{record.step}/{record.instance_name}: {ending} ({record.directory})"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started the script
            stream.flush()

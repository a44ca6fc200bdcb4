"""A flow run as a script: `python flow/x.py --config c.json --output-dir d`.

With an output directory the script's run counts like any other: same folder, same log, same record,
written when the script ends. Without one the script runs in its own folder and leaves no record.
"""

from __future__ import annotations

import argparse
import atexit
import builtins
import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from ductaflow_runtime.config import Config, apply_settings, read_config, texts_in
from ductaflow_runtime.errors import ConfigError, DuctaflowError
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.execution.script_frame import cell_of, module_frame, ran_to_its_end
from ductaflow_runtime.project import Project, find_root, set_import_path
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import HIDDEN, LOG_NAME, check_name
from ductaflow_runtime.runs.state import acquire


def load_cli_config(default_config: str | os.PathLike[str], description: str = "") -> Config:
    """The config of a flow that runs as a script, from `--config`, `--output-dir` and `--set a.b=JSON`.

    `default_config` is relative to the project root, paths typed on the command line to the caller's
    directory. With `--output-dir` the script works in that directory and leaves `config.json`, `run.log` and
    `run.json` there; without, it works in its own folder. A wrong argument or config ends the script with
    exit code 2 and a message.
    """
    parser = argparse.ArgumentParser(description=description or None)
    parser.add_argument("--config", metavar="FILE", help=f"JSON config (default: {os.fspath(default_config)})")
    parser.add_argument("--output-dir", metavar="DIR", help="folder for results, e.g. runs/my_step/my_run")
    parser.add_argument(
        "--set", metavar="KEY=JSON", action="append", default=[], help="change one value, e.g. --set a.b=3"
    )
    given = parser.parse_args()
    flow = _script()
    root = find_root()
    try:
        path = Path.cwd() / given.config if given.config else root / default_config
        config = apply_settings(read_config(path), given.set)
        set_import_path(flow.parent, root)
        if _is_child():
            return config
        if given.output_dir is None:
            os.chdir(flow.parent)
        else:
            _begin(flow, root, config, Path(os.path.normpath(Path.cwd() / given.output_dir)))
    except DuctaflowError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return config


def _script() -> Path:
    main = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0]
    return Path(main).resolve()


def _is_child() -> bool:
    """Whether `multiprocessing` imports the script again in a process of its own."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _begin(flow: Path, root: Path, config: Config, directory: Path) -> None:
    """Make the output directory this process's instance, and see to its record."""
    from ductaflow_runtime.execution.job import Job, open_entry
    from ductaflow_runtime.runs.state import last_record
    from ductaflow_runtime.staleness.tracking import Tracker
    from ductaflow_runtime.staleness.why_stale import Present, why_stale

    project = Project.at(root)
    runs_dir = project.runs_dir
    inside = directory.parent.parent == runs_dir
    step = check_name(directory.parent.name, "step name") if inside else flow.stem
    name = check_name(directory.name) if inside else directory.name
    job = Job(
        root=str(root),
        runs_dir=str(runs_dir),
        flow=str(flow),
        step=step,
        name=name,
        config=config,
        folder=None if inside else str(directory),
        environment=project.git_state(),
    )
    present = Present(project)
    code = present.code(flow)
    record, damage = last_record(job.instance)
    job = job.but(reason=damage or why_stale(job.instance, record, present) or "command line")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not acquire(directory):
            raise ConfigError(f"{directory} is being written by another process at this moment")
        entry = open_entry(job)
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"--output-dir {directory} cannot be used: {error}") from None
    tracker = Tracker(root=str(root), own=str(directory), runs_dir=str(runs_dir), late=True)
    tracker.name_all([*code.literals, *texts_in(config)])
    running = execution.Execution(root, directory, runs_dir, tracker, script=True)
    execution.begin(running)
    Ending(job, entry, code, running).watch()


class Ending:
    """Sees the script to its end: output into the log, then the record."""

    def __init__(self, job: Any, entry: Any, code: Any, running: execution.Execution) -> None:
        from ductaflow_runtime.execution.warning_count import count_warnings
        from ductaflow_runtime.kernel.capture import Capture, Log

        self.job, self.entry, self.code, self.running = job, entry, code, running
        self.error: Failure | None = None
        self.left: list[Any] = []
        self.interrupted = False
        self.module = module_frame()
        self.owner = os.getpid()
        self.warned = count_warnings()
        self.log = Log(entry.record.directory / LOG_NAME)
        self.capture = Capture(self.log, self._pass_on)

    def watch(self) -> None:
        """Hook into what tells how a script ends."""
        _flush_streams()
        self.capture.start()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        self._hook_exceptions()
        self._hook_exit()
        atexit.register(self.close)
        self.running.tracker.install()
        self.running.tracker.active = True

    def _pass_on(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads the terminal any more; the log has it
            os.write(self.capture.original(name), text.encode("utf-8", "replace"))

    def _hook_exceptions(self) -> None:
        show = sys.excepthook

        def hook(kind: Any, error: Any, trace: Any) -> None:
            from ductaflow_runtime.execution.failure import advise

            self.interrupted = issubclass(kind, KeyboardInterrupt)
            told = Failure(
                "Interrupted" if self.interrupted else kind.__name__,
                str(error) or ("interrupted before it ended" if self.interrupted else ""),
                cell_of(self.job.flow, trace),
                "".join(traceback.format_exception(kind, error, trace)),
            )
            self.error = advise(told, self.running.root)
            show(kind, error, trace)

        sys.excepthook = hook

    def _hook_exit(self) -> None:
        """`SystemExit` reaches no hook, so its code is noted where it is raised."""
        leave = sys.exit

        def noted(status: Any = None) -> Any:
            self.left.append(status)
            leave(status)

        sys.exit = noted
        builtins.exit = builtins.quit = noted  # type: ignore[assignment]
        names = self.module.f_globals if self.module is not None else {}
        names.update({name: noted for name, value in names.items() if value is leave})

    def _judge_exit(self) -> None:
        """Whether the script ended early, and if so with which code: an exit that it caught does not count."""
        if self.error is not None or ran_to_its_end(self.module):
            return
        from ductaflow_runtime.execution.failure import left_well

        code = self.left[-1] if self.left else "raised otherwise than by sys.exit(), so that its code is not known"
        if not left_well(code):
            self.error = Failure("SystemExit", str(code))

    def close(self) -> None:
        """The script has ended: write the record."""
        if os.getpid() != self.owner:
            return
        from ductaflow_runtime.kernel.shutdown import open_files, settle_files
        from ductaflow_runtime.runs.contents import Contents
        from ductaflow_runtime.runs.states import Status
        from ductaflow_runtime.staleness.fingerprint import fingerprint
        from ductaflow_runtime.staleness.imports import local_modules

        self.running.tracker.active = False
        _flush_streams()
        settle_files("flush", open_files())
        self.capture.stop()
        self.log.close()
        self._judge_exit()
        status = Status.INTERRUPTED if self.interrupted else Status.FAILED if self.error else Status.DONE
        contents = Contents(self.running.runs_dir / HIDDEN / "hashes")
        self.entry.close(
            status,
            error=self.error,
            warnings=self.warned.count,
            results=self.running.results,
            fingerprint=fingerprint(
                self.code,
                self.running.tracker,
                contents,
                flow=self.job.flow,
                config=self.job.config,
                started=self.entry.record.started,
                modules=local_modules(self.job.root),
            ),
        )


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started the script
            stream.flush()

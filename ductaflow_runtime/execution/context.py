"""The execution that this process is in the middle of, as the flow's own calls see it.

Set by the runtime in the process that executes a flow, by `load_cli_config` in a script, and found
through the environment in a Jupyter kernel that papermill started for us. Interactive use has none.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.config import to_json
from ductaflow_runtime.errors import ConfigError, ProjectError
from ductaflow_runtime.execution.warning_count import Counter, count_warnings
from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.project import find_root, load_settings, resolve_runs_dir
from ductaflow_runtime.runs.instance import check_name
from ductaflow_runtime.staleness.imports import local_modules
from ductaflow_runtime.staleness.tracking import Tracker

HANDOFF = "DUCTAFLOW_EXECUTION"


@dataclass
class Execution:
    """Where the running flow is, what it saved, and what it read."""

    root: Path
    directory: Path
    runs_dir: Path
    tracker: Tracker
    results: dict[str, Any] = field(default_factory=dict)
    handoff: Path | None = None
    script: bool = False
    last_import: str | None = None
    warned: Counter = field(default_factory=Counter)

    def hand_over(self) -> None:
        """Leave what this kernel saw for the process that started it."""
        if self.handoff is None:
            return
        seen = {
            "results": self.results,
            "warnings": self.warned.count,
            "seen": self.tracker.told(),
            "modules": sorted({*local_modules(str(self.root)), *self.tracker.sources}),
        }
        with contextlib.suppress(OSError):
            write_atomically(self.handoff, json.dumps(seen))

    def take_over(self) -> list[str]:
        """Add what a kernel of its own has left; gives the paths of the project's modules that it imported."""
        if self.handoff is None:
            return []
        try:
            seen = json.loads(self.handoff.read_bytes())
            self.handoff.unlink()
        except (OSError, ValueError):
            return []  # a kernel of another language or environment, which reports nothing
        self.results.update(seen["results"])
        self.warned.count += seen["warnings"]
        self.tracker.take_over(seen["seen"])
        return list(seen["modules"])


_current: Execution | None = None


def begin(execution: Execution) -> None:
    """Make `execution` the one that the flow's calls refer to."""
    global _current
    _current = execution


def current() -> Execution | None:
    """The execution of this process, if it is one."""
    if _current is None and HANDOFF in os.environ and in_kernel():
        _adopt(json.loads(os.environ[HANDOFF]))
    return _current


def in_kernel() -> bool:
    """Whether this process is a Jupyter, VS Code or IPython kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


def _adopt(told: dict[str, str]) -> None:
    """In a kernel that the runtime started through papermill: track, and report after each cell."""
    tracker = Tracker(root=told["root"], own=told["directory"], runs_dir=told["runs_dir"], active=True, late=True)
    tracker.install()
    execution = Execution(
        root=Path(told["root"]),
        directory=Path(told["directory"]),
        runs_dir=Path(told["runs_dir"]),
        tracker=tracker,
        handoff=Path(told["handoff"]),
        warned=count_warnings(),
    )
    begin(execution)
    shell = sys.modules["IPython"].get_ipython()
    shell.events.register("post_run_cell", lambda _result: execution.hand_over())


def save_results(**values: object) -> None:
    """Store named results of this instance in its record.

    Values are JSON scalars or lists (numpy scalars and arrays are converted); a name saved twice keeps the
    last value. Raises `ConfigError` for anything else. In an interactive notebook, and in a script without
    `--output-dir`, there is no record: the values are checked and shown.
    """
    problems: list[str] = []
    clean = {name: to_json(value, name, problems) for name, value in values.items()}
    problems += [f"{name}: a result is a number, a text, true/false, null or a list, not an object"
                 for name, value in clean.items() if isinstance(value, dict)]  # fmt: skip
    if problems:
        raise ConfigError("save_results cannot store:", problems)
    execution = current()
    if execution is not None:
        execution.results.update(clean)
        return
    for name, value in clean.items():
        print(f"result {name} = {value}")  # noqa: T201 - shown where the analyst is looking


def project_path(*parts: str | os.PathLike[str]) -> Path:
    """An absolute path under the project root, the same however the flow is run.

    A file that exists counts as an input of the running instance. Raises `ProjectError` for a path that
    leaves the project.
    """
    execution = current()
    root = execution.root if execution is not None else find_root()
    return _noted(execution, _below(root, parts, "the project"))


def instance_path(step: str, instance_name: str, *parts: str | os.PathLike[str]) -> Path:
    """An absolute path in another instance's folder, `runs/{step}/{instance_name}/...`.

    A file that exists counts as an input of the running instance, so that it runs again when the other
    instance's file changes. Raises `ConfigError` for a name that cannot be a folder.
    """
    execution = current()
    if execution is not None:
        runs_dir = execution.runs_dir
    else:
        root = find_root()
        runs_dir = resolve_runs_dir(root, load_settings(root), None)
    folder = runs_dir / check_name(step, "step name") / check_name(str(instance_name))
    return _noted(execution, _below(folder, parts, f"instance {step}/{instance_name}"))


def _below(folder: Path, parts: tuple[str | os.PathLike[str], ...], what: str) -> Path:
    path = Path(os.path.normpath(folder.joinpath(*parts)))
    if path != folder and folder not in path.parents:
        raise ProjectError(f"{'/'.join(os.fspath(part) for part in parts)} lies outside {what} ({folder})")
    return path


def _noted(execution: Execution | None, path: Path) -> Path:
    if execution is not None:
        execution.tracker.name(path)
    return path

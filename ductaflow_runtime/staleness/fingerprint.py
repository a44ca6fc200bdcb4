"""The fingerprint of an execution: what went into it, in named parts, so that a reason can say what changed."""

from __future__ import annotations

import ast
import datetime
import functools
import importlib.metadata
import sys
import time
from collections.abc import Container, Iterable
from pathlib import Path

from ductaflow_runtime.execution.context import Execution
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import Contents, FileState, relative_to_root, stat_file
from ductaflow_runtime.flow import FlowCode, imported_names
from ductaflow_runtime.runs.fingerprint import Fingerprint
from ductaflow_runtime.staleness.imports import local_modules
from ductaflow_runtime.staleness.tracking import describe_input, fingerprint_inputs


def fingerprint(
    job: Job, code: FlowCode, running: Execution, contents: Contents, started: str, in_process: bool = True
) -> Fingerprint:
    """`config`, `code`, `modules`, `inputs` and `packages` of the execution that has just ended."""
    seen = local_modules(job.root, running.last_import) if in_process else {}
    handed = read_handoff(running) if not in_process else []
    places = map(running.tracker.place, [*seen, *handed, *running.tracker.sources])
    paths = {path for path in places if path is not None and path != job.flow}
    began = datetime.datetime.fromisoformat(started).timestamp() * 1e9
    ended = time.time_ns()
    modules: dict[str, FileState] = {}
    for path in sorted(paths):
        stat = stat_file(path)
        if stat is not None:
            # Edited while the flow ran: nobody knows which text was imported. A time yet to come is a wrong clock.
            edited = began < stat.mtime_ns <= ended
            modules[relative_to_root(path, running.root)] = (
                {"changed": True} if edited else describe_input(path, stat, contents)
            )
    own = {name.partition(".")[0] for name in seen.values()}
    names = {*code.imports, *(name for path in paths for name in _imports_of(path))}
    return Fingerprint(
        config=job.config,
        code=code.fingerprint(),
        modules=modules,
        inputs=fingerprint_inputs(running.tracker, [*paths, job.flow], contents),
        packages=packages(names, own) if in_process else {},
    )


def read_handoff(running: Execution) -> list[str]:
    """What a kernel of its own saw: results and inputs go into `running`, its modules are given."""
    import json

    if running.handoff is None:
        return []
    try:
        seen = json.loads(running.handoff.read_bytes())
        running.handoff.unlink()
    except (OSError, ValueError):
        return []  # a kernel of another language or environment, which reports nothing
    running.results.update(seen["results"])
    running.warned.count += seen["warnings"]
    running.tracker.take_over(seen["seen"])
    return list(seen["modules"])


def _imports_of(path: str) -> list[str]:
    if not path.endswith(".py"):
        return []  # compiled: what it imports cannot be read from it
    try:
        return list(imported_names(ast.parse(Path(path).read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return []


@functools.cache
def providers(name: str) -> tuple[tuple[str, str], ...]:
    """The distributions, with version, that provide an importable top-level name; ours not among them."""
    if name in sys.stdlib_module_names or name.startswith("ductaflow"):
        return ()
    try:
        # Nearly always the distribution is called like the module; looking through all takes 0.2 s.
        return ((name, importlib.metadata.version(name)),)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        found = _distributions().get(name, [])
    return tuple((each, importlib.metadata.version(each)) for each in sorted(set(found)))


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def packages(names: Iterable[str], local: Container[str] = ()) -> dict[str, str]:
    """Distribution -> version, of the third-party packages among imported names."""
    tops = {name.partition(".")[0] for name in names}
    return dict(pair for top in sorted(tops) if top not in local for pair in providers(top))

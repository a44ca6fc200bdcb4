"""The fingerprint of an execution: what went into it, in named parts, so that a reason can say what changed."""

from __future__ import annotations

import ast
import datetime
import functools
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from ductaflow_runtime.content import Contents, Stat, stat_file
from ductaflow_runtime.execution import Execution
from ductaflow_runtime.flow import FlowCode, imported_names
from ductaflow_runtime.ledger import Job
from ductaflow_runtime.project import relative_to_root
from ductaflow_runtime.tracking import describe_input, fingerprint_inputs, local_modules


def fingerprint(
    job: Job, code: FlowCode, running: Execution, contents: Contents, started: str, in_process: bool = True
) -> dict[str, Any]:
    """`config`, `code`, `modules`, `inputs` and `packages` of the execution that has just ended."""
    seen = local_modules(job.root) if in_process else {}
    handed = read_handoff(running) if not in_process else []
    paths = {path for path in [*seen, *handed] if path != job.flow}
    began = datetime.datetime.fromisoformat(started).timestamp() * 1e9
    modules: dict[str, Any] = {}
    for path in sorted(paths):
        stat = stat_file(path)
        if stat is not None:
            # Edited while the flow ran: nobody knows which text was imported.
            edited = stat.mtime_ns > began
            modules[relative_to_root(path, running.root)] = (
                {"changed": True} if edited else describe_input(path, stat, contents)
            )
    names = {*code.imports, *(name for path in paths for name in _imports_of(path))}
    return {
        "config": job.config,
        "code": code.fingerprint(),
        "modules": modules,
        "inputs": fingerprint_inputs(running.tracker, [*paths, job.flow], contents),
        "packages": packages(names) if in_process else {},
    }


def read_handoff(running: Execution) -> list[str]:
    """What a kernel of its own saw: results and inputs go into `running`, its modules are given."""
    import json

    if running.handoff is None:
        return []
    try:
        seen = json.loads(running.handoff.read_bytes())
    except (OSError, ValueError):
        return []  # a kernel of another language or environment, which reports nothing
    running.results.update(seen["results"])
    for path, stat in seen["files"].items():
        running.tracker.files.setdefault(path, Stat(*stat) if stat else None)
    running.tracker.folders.update(seen["folders"])
    return list(seen["modules"])


def _imports_of(path: str) -> list[str]:
    try:
        return list(imported_names(ast.parse(Path(path).read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return []


@functools.cache
def distributions() -> dict[str, tuple[str, ...]]:
    """Importable top-level name -> the distributions that provide it."""
    found = importlib.metadata.packages_distributions()
    return {name: tuple(sorted(set(providers))) for name, providers in found.items()}


def packages(names: set[str]) -> dict[str, str]:
    """Distribution -> version, of the third-party packages among imported names; ours not among them."""
    versions: dict[str, str] = {}
    for name in sorted({name.partition(".")[0] for name in names}):
        if name in sys.stdlib_module_names:
            continue
        for provider in distributions().get(name, ()):
            if provider.lower() != "ductaflow":
                versions[provider] = importlib.metadata.version(provider)
    return versions

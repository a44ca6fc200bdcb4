"""The fingerprint of an execution: what went into it, in named parts, so that a reason can say what changed.

Made here only: at the end of an execution, and when an instance is accepted as things are now.
"""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import sys
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from ductaflow_runtime.config.values import Config
from ductaflow_runtime.files import FileState, hash_names, relative_to_root, stat_file
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.kernels import HERE
from ductaflow_runtime.runs.contents import Contents, hash_instance
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.staleness.input_states import describe_input, fingerprint_inputs
from ductaflow_runtime.staleness.module_code import read_module, with_tree
from ductaflow_runtime.staleness.named import named_in
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.tracking import Tracker
from ductaflow_runtime.staleness.why_stale import instance_now


def code_state(code: FlowCode) -> CodeState:
    """The `code` part: what a flow's text says, as records keep it."""
    return CodeState(list(code.cells), code.text, code.keys.defaults, code.keys.takes_config)


def fingerprint(
    code: FlowCode,
    tracker: Tracker,
    contents: Contents,
    *,
    flow: str,
    config: Config,
    started: str,
    modules: Mapping[str, str],
    with_packages: bool = True,
    kernel: str | None = HERE,
) -> Fingerprint:
    """The fingerprint of an execution that has just ended, begun at `started` (ISO).

    `modules` maps the absolute paths of the project's modules that it imported to their names. `with_packages` is for
    a process whose third-party packages are this one's; `kernel` is the name of the Jupyter kernel that executed
    it, `None` for a script, which is as good as any.
    """
    places = map(tracker.place, [*modules, *tracker.sources])
    paths = {path for path in places if path is not None and path != flow}
    return Fingerprint(
        config=config,
        code=code_state(code),
        modules=_module_states(paths, started, contents, tracker),
        inputs=fingerprint_inputs(tracker, [*paths, flow], contents),
        packages=_packages_of(code, paths, modules.values(), contents) if with_packages else {},
        kernel=kernel,
    )


def _packages_of(code: FlowCode, paths: Iterable[str], local: Iterable[str], contents: Contents) -> dict[str, str]:
    read = [read_module(path, contents.cache) for path in paths]  # what is compiled cannot be read
    names = {*code.imports, *(name for module in read if module is not None for name in module.imports)}
    return packages(names, {name.partition(".")[0] for name in local})


def fingerprint_now(instance: Instance, record: Record, present: Present) -> Fingerprint:
    """The fingerprint that an execution would have which imports and reads what the last one did, in `record`."""
    was = record.fingerprint or Fingerprint()
    code, project = present.code(instance.flow), present.project
    named = Tracker(root=str(project.root), own=str(instance.directory), runs_dir=str(project.runs_dir))
    named.name_all(named_in(code, instance.config))
    unseen = FileState()
    inputs = {project.relative(path): unseen for path in named.files} | was.inputs
    inputs.pop(project.relative(instance.flow), None)
    modules = {path: _present_module(present, path, old) for path, old in was.modules.items()}
    return Fingerprint(
        config=instance.config,
        code=code_state(code),
        modules={path: there for path, there in modules.items() if "missing" not in there},
        inputs={path: _present_input(present, path, old) for path, old in sorted(inputs.items())},
        packages={name: version for name in was.packages if (version := present.version(name)) is not None},
        kernel=None if was.kernel is None else present.kernel(instance.flow, record),
    )


def _present_module(present: Present, path: str, old: FileState) -> FileState:
    told = _describe(present, path)
    return with_tree(told, present.project.absolute(path), present.contents.cache, {}) if "tree" in old else told


def _present_input(present: Present, path: str, old: FileState) -> FileState:
    where = present.project.absolute(path)
    if "names" in old:
        return {"names": hash_names(where)}
    if "instance" in old:
        _, record = instance_now(os.path.dirname(where), present)
        return {"missing": True} if record is None else {"instance": hash_instance(record)}
    return _describe(present, path)


def _describe(present: Present, path: str) -> FileState:
    where = present.project.absolute(path)
    return describe_input(where, stat_file(where), present.contents)


def _module_states(paths: Iterable[str], started: str, contents: Contents, tracker: Tracker) -> dict[str, FileState]:
    began, ended = datetime.datetime.fromisoformat(started).timestamp() * 1e9, time.time_ns()
    modules: dict[str, FileState] = {}
    asked_for = tracker.texts_asked_for()
    for path in sorted(paths):
        stat, compiled = stat_file(path), tracker.compiled.get(path)
        if stat is None and (compiled is None or path in tracker.written):
            continue
        told: FileState
        if compiled is not None:
            told = _as_compiled(path, compiled, contents)
        elif stat is not None and began < stat.mtime_ns <= ended:
            # Edited while the flow ran: nobody knows which text was imported. A time yet to come is a wrong clock.
            told = {"changed": True}
        else:
            told = describe_input(path, stat, contents)
        if path not in asked_for:
            told = with_tree(told, path, contents.cache, tracker.texts)
        modules[relative_to_root(path, Path(tracker.root))] = told
    return modules


def _as_compiled(path: str, compiled: set[tuple[str, int]], contents: Contents) -> FileState:
    """The text that ran, whatever the file holds by now."""
    if len(compiled) != 1:
        return {"changed": True}
    ((sha256, size),) = compiled
    now = describe_input(path, stat_file(path), contents)
    return now if now.get("sha256") == sha256 else {"size": size, "sha256": sha256, "mtime_ns": None}


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

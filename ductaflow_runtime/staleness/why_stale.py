"""`why_stale`: the one place that decides whether an instance must run, and says why.

It only reads. A reason lists every cause found; `None` means up to date.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.files import FileState, relative_to_root
from ductaflow_runtime.flow.analysis import analyse
from ductaflow_runtime.flow.code import FlowCode, changed_cells
from ductaflow_runtime.flow.kernels import choose_kernel
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.contents import Contents, hash_instance
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record, asked_kernel
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.awaited import Awaited
from ductaflow_runtime.staleness.ignored import is_ignored, pattern_for
from ductaflow_runtime.staleness.module_code import read_module

_MOST_CAUSES = 8
_MISSING = object()
_DURING = " (it changed during the last execution)"
_LONGEST = 60
GIVEN_UNREAD = "parameters: ductaflow 0.1.0 put them into `config`, which this flow does not read"


@dataclass
class Present:
    """The present state of a project, each fact looked up once; of the flows in `texts`, that text counts.

    `kernels` are those that a call asks for, by flow (`None`: it asks for none); any other flow is executed on the one
    that the last call asked for. What is `awaited` will be other than it is now, so that it is no cause, and no reason
    to be sure. Without `keep` nothing is added to the caches.
    """

    project: Project
    texts: Mapping[Path, bytes] = field(default_factory=dict)
    kernels: Mapping[Path, str | None] = field(default_factory=dict)
    awaited: Awaited | None = None
    keep: bool = True
    contents: Contents = field(init=False)
    _flows: dict[Path, FlowCode] = field(default_factory=dict)
    _names: dict[Path, str] = field(default_factory=dict)
    _chosen: dict[tuple[Path, str | None], str] = field(default_factory=dict)
    _versions: dict[str, str | None] = field(default_factory=dict)
    _trees: dict[str, str | None] = field(default_factory=dict)
    _ignored: dict[str, bool] = field(default_factory=dict)
    _instances: dict[str, tuple[str | None, Record | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contents = Contents(self.project.hash_cache, self.keep)
        self.results = self.project.relative(self.project.runs_dir)

    def code(self, flow: Path) -> FlowCode:
        """What the flow's text says now."""
        if flow not in self._flows:
            self._flows[flow] = analyse(flow, self.project.flow_cache, self.texts.get(flow), keep=self.keep)
        return self._flows[flow]

    def name_of(self, flow: Path) -> str:
        """The flow as records name it."""
        if flow not in self._names:
            self._names[flow] = self.project.relative(flow)
        return self._names[flow]

    def kernel(self, flow: Path, record: Record) -> str:
        """What the flow would be executed on, as records call it; raises `FlowFileError` if that is not installed."""
        asked = self.kernels[flow] if flow in self.kernels else asked_kernel(record.command)
        if (flow, asked) not in self._chosen:
            self._chosen[flow, asked] = choose_kernel(self.code(flow), asked).name
        return self._chosen[flow, asked]

    def version(self, package: str) -> str | None:
        """The installed version of a distribution."""
        if package not in self._versions:
            try:
                self._versions[package] = importlib.metadata.version(package)
            except (importlib.metadata.PackageNotFoundError, ValueError):
                self._versions[package] = None
        return self._versions[package]

    def tree(self, path: str) -> str | None:
        """The digest of the syntax tree of a module; `None` if there is no such text."""
        if path not in self._trees:
            code = read_module(path, self.contents.cache, keep=self.keep)
            self._trees[path] = None if code is None else code.tree
        return self._trees[path]

    def ignores(self, path: str) -> bool:
        """Whether an input, as records store its path, never makes an instance run again."""
        if path not in self._ignored:
            self._ignored[path] = is_ignored(path, self.project.settings.ignore, self.results)
        return self._ignored[path]

    def instance(self, directory: str) -> tuple[str | None, Record | None]:
        """Why the instance in a folder, as its own record tells of it, is not up to date; and its record."""
        if directory not in self._instances:
            self._instances[directory] = (None, None)  # one that runs itself is told by its own differences
            self._instances[directory] = self._look_at(Path(directory))
        return self._instances[directory]

    def _look_at(self, directory: Path) -> tuple[str | None, Record | None]:
        seen = look(directory)
        record, config = seen.record, None
        if record is not None and record.fingerprint is not None:
            config = record.fingerprint.config
        if record is None or seen.state is not Status.DONE or config is None:
            return str(seen.state), record
        flow, runs_dir = Path(self.project.absolute(record.flow or "")), directory.parents[1]
        instance = Instance(flow, directory.parent.name, directory.name, config, runs_dir)
        try:
            return why_stale(instance, record, self), record
        except FlowFileError as error:
            return str(error) if flow.is_file() else f"flow deleted: {record.flow}", record


def why_stale(instance: Instance, record: Record | None, present: Present) -> str | None:
    """Why the instance must (re-)run; `None` if its record still describes what a run would give."""
    if record is None:
        return "new"
    causes: list[str] = []
    if record.status in (Status.RUNNING, Status.INTERRUPTED):
        causes.append("interrupted")
    elif record.status is Status.FAILED:
        causes.append("failed")
    was = record.fingerprint
    if was is None:
        return "; ".join(causes) or "record has no fingerprint"
    for number, cause in enumerate(_differences(instance, record, was, present)):
        if number == _MOST_CAUSES:
            causes.append("and more")
            break
        causes.append(cause)
    return "; ".join(causes) or None


def _differences(instance: Instance, record: Record, was: Fingerprint, present: Present) -> Iterator[str]:
    flow = present.name_of(instance.flow)
    if record.flow != flow:
        yield f"flow: {record.flow} -> {flow}"
    if was.config != instance.config or not same_types(was.config, instance.config):
        yield from value_changes("config", was.config or {}, instance.config)
    if was.kernel is not None and was.kernel != (kernel := present.kernel(instance.flow, record)):
        yield f"kernel: {was.kernel} -> {kernel}"
    yield from code_change(was.code, present.code(instance.flow))
    if _was_given_config_unread(was, present.code(instance.flow)):
        yield GIVEN_UNREAD
    for path, stored in was.modules.items():
        yield from module_change(path, stored, present)
    for path, stored in was.inputs.items():
        yield from input_change(path, stored, present)
    for package, version in was.packages.items():
        if present.version(package) != version:
            yield f"package: {package} {version} -> {present.version(package) or 'not installed'}"
    if record.status is Status.DONE:
        yield from _output_changes(instance, record)


def value_changes(what: str, old: Config, new: Config, prefix: str = "") -> Iterator[str]:
    """Each key that differs, with its old and its new value; `what` kind of values they are."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        key = f"{prefix}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            yield from value_changes(what, before, after, f"{key}.")
        elif before is _MISSING:
            yield f"{what}: {key} added ({_show(after)})"
        elif after is _MISSING:
            yield f"{what}: {key} removed (was {_show(before)})"
        elif not same_types(before, after) or before != after:
            yield f"{what}: {key} {_show_pair(before, after)}"


def same_types(old: object, new: object) -> bool:
    """Whether two JSON values agree to the type: `1`, `1.0` and `true` are three values, `0.0` and `-0.0` two."""
    if old is new:
        return True
    if type(old) is not type(new):
        return False
    if isinstance(old, float) and isinstance(new, float):
        return old == new and math.copysign(1.0, old) == math.copysign(1.0, new)
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same_types(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same_types, old, new))
    return old == new


def _show(value: object) -> str:
    text = value if isinstance(value, str) and value.strip() else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _show_pair(old: object, new: object) -> str:
    """Two values so that one sees the difference, be it in the type or far into a long text."""
    if _show(old) != _show(new):
        return f"{_show(old)} -> {_show(new)}"
    texts = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
    differs = next((i for i, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), 0)
    skip = max(0, differs - 20)
    return " -> ".join(_show(f"...{text[skip:]}" if skip else text) for text in texts)


def code_change(was: CodeState, code: FlowCode) -> Iterator[str]:
    """The cause, if a flow's code is not what it was."""
    old = was.cells
    if old != list(code.cells):
        cells = changed_cells(old, list(code.cells)) if old else []
        yield f"code: {', '.join(cells[:5])}{' and more' if len(cells) > 5 else ''}" if cells else "code"
        if was.defaults is not None:
            yield from value_changes("default", was.defaults, code.keys.defaults)


def _was_given_config_unread(was: Fingerprint, code: FlowCode) -> bool:
    """Whether 0.1.0 executed it, which put a variable `config` into a flow that takes each key as a variable."""
    return was.code.defaults is None and bool(was.code.cells) and bool(was.config) and not code.keys.takes_config


def module_change(path: str, stored: FileState, present: Present) -> Iterator[str]:
    """The cause, if a module of the project is not what it was."""
    absolute = present.project.absolute(path)
    same_tree = "tree" in stored and present.tree(absolute) == stored["tree"]
    if not same_tree and not present.contents.is_same(absolute, stored):
        exists = present.contents.stat(absolute) is not None
        during = _DURING if stored.get("changed") else ""
        yield f"module: {path}{during}" if exists else f"module deleted: {path}"


def input_change(path: str, stored: FileState, present: Present) -> Iterator[str]:
    """The cause, if what was read is not what it was."""
    counts = not present.ignores(path) and _awaited_by(path, present) is None
    cause = _input_cause(path, stored, present) if counts else None
    if cause is not None:
        yield cause


def waits_for(record: Record | None, present: Present, above: tuple[str, ...] = ()) -> Iterator[str]:
    """What will make anew something that an execution has read, at any depth: addresses of instances, or files.

    `above` are the instances on the way down.
    """
    was = record.fingerprint if record is not None else None
    for path, stored in (was.inputs if was is not None and present.awaited is not None else {}).items():
        awaited = _awaited_by(path, present)
        if awaited is not None and not present.ignores(path):
            yield awaited
        elif "instance" in stored and path not in above:
            inner = present.instance(os.path.dirname(present.project.absolute(path)))[1]
            yield from waits_for(inner, present, (*above, path))


def _awaited_by(path: str, present: Present) -> str | None:
    return None if present.awaited is None else present.awaited.by(present.project.absolute(path.rstrip("/")))


def _input_cause(path: str, stored: FileState, present: Present) -> str | None:
    absolute = present.project.absolute(path)
    if "names" in stored:
        if present.contents.names(absolute) == stored["names"]:
            return None
        return f"input: {path} (its list of files{_advice(path, present, ', which') if stored.get('again') else ''})"
    if "instance" in stored:
        return _instance_change(os.path.dirname(absolute), stored["instance"], present)
    exists = present.contents.stat(absolute) is not None
    if stored.get("changed"):
        return f"input: {path} (it{_advice(path, present)})" if stored.get("again") else f"input: {path}{_DURING}"
    if stored.get("missing"):
        return f"input: {path} (was not there)" if exists else None
    if not exists:
        return f"input missing: {path}{_upstream(absolute, present)}"
    return None if present.contents.is_same(absolute, stored) else f"input: {path}"


def _advice(path: str, present: Present, subject: str = "") -> str:
    """What to do about an input that changes whenever the flow runs."""
    if path.startswith(f"{present.results}/"):
        what = "it belongs in the instance's own folder"
    else:
        what = f"set ignore = [{json.dumps(pattern_for(path), ensure_ascii=False)}] under [tool.ductaflow]"
    return f"{subject} changed during the last two executions: if the flow itself writes it, {what}"


def _instance_change(directory: str, digest: str, present: Present) -> str | None:
    """Whether an instance that the execution ran is up to date, at any depth, and its results are the same."""
    reason, record = present.instance(directory)
    if reason is None and record is not None:
        reason = None if hash_instance(record) == digest else "other results"
    return None if reason is None else f"instance: {'/'.join(Path(directory).parts[-2:])} ({reason})"


def _upstream(absolute: str, present: Present) -> str:
    """What became of the instance that should have written a missing input."""
    inside = relative_to_root(absolute, present.project.runs_dir)
    parts = inside.split("/")
    if inside == absolute or len(parts) < 3 or parts[0].startswith("."):
        return ""
    step, name = parts[:2]
    seen = look(present.project.runs_dir / step / name)
    if seen.damage:
        return f" (the record of {step}/{name} is damaged)"
    if seen.record is None:
        return f" ({step}/{name} has not run)"
    return f" ({step}/{name}: {seen.state})" if seen.state != Status.DONE else ""


def _output_changes(instance: Instance, record: Record) -> Iterator[str]:
    directory = os.fspath(instance.directory)
    contents = Contents()
    for path, stored in (record.outputs or {}).items():
        absolute = os.path.join(directory, path)
        if contents.stat(absolute) is None:
            yield f"output missing: {path}"
        elif not contents.is_same(absolute, stored):
            yield f"output changed: {path}"

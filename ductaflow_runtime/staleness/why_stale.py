"""`why_stale`: the one place that decides whether an instance must run, and says why.

It only reads. A reason lists every cause found; `None` means up to date.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.files import FileState, relative_to_root
from ductaflow_runtime.flow.code import FlowCode, changed_cells
from ductaflow_runtime.runs.contents import Contents, hash_instance
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.ignored import pattern_for
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.value_changes import same_types, value_changes

_MOST_CAUSES = 8
_MOST_ALIKE = 3
_GONE = "input missing: "
_DURING = " (it changed during the last execution)"
GIVEN_UNREAD = "parameters: ductaflow 0.1.0 put them into `config`, which this flow does not read"


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
    yield from what_went_in(instance, record, was, present)
    if record.status is Status.DONE:
        yield from _output_changes(instance, record)


def what_went_in(instance: Instance, record: Record, was: Fingerprint, present: Present) -> Iterator[str]:
    """A cause for each part of what went into an execution that is not as it would be now."""
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
    yield from _input_changes(was, present)
    for package, version in was.packages.items():
        if present.version(package) != version:
            yield f"package: {package} {version} -> {present.version(package) or 'not installed'}"


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


def _input_changes(was: Fingerprint, present: Present) -> Iterator[str]:
    """A cause for each input that is not what it was, but one for many records of a step."""
    if sum("record" in stored for stored in was.inputs.values()) <= _MOST_ALIKE:
        for path, stored in was.inputs.items():
            yield from input_change(path, stored, present)
        return
    steps = {path: step for path, stored in was.inputs.items() if (step := _step_of_record(path, stored, present))}
    causes = {path: cause for path in steps for cause in input_change(path, was.inputs[path], present)}
    alike = Counter(steps[path] for path in causes)
    told: set[str] = set()
    for path, stored in was.inputs.items():
        step = steps.get(path)
        if step is None:
            yield from input_change(path, stored, present)
        elif alike[step] <= _MOST_ALIKE:
            yield from [causes[path]] if path in causes else []
        elif step not in told:
            told.add(step)
            gone = sum(steps[each] == step and cause.startswith(_GONE) for each, cause in causes.items())
            kinds = [f"{count} {what}" for count, what in ((alike[step] - gone, "changed"), (gone, "gone")) if count]
            yield f"input: {step} ({' and '.join(kinds)} of {list(steps.values()).count(step)} records)"


def _step_of_record(path: str, stored: FileState, present: Present) -> str | None:
    """The step of an instance whose record is an input."""
    inside = path.removeprefix(f"{present.results}/")
    return inside.split("/")[0] if "record" in stored and inside != path and inside.count("/") == 2 else None


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
            inner = instance_now(os.path.dirname(present.project.absolute(path)), present)[1]
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
    reason, record = instance_now(directory, present)
    if reason is None and record is not None:
        reason = None if hash_instance(record) == digest else "other results"
    return None if reason is None else f"instance: {'/'.join(Path(directory).parts[-2:])} ({reason})"


def instance_now(directory: str, present: Present) -> tuple[str | None, Record | None]:
    """Why the instance in a folder, as its own record tells of it, is not up to date; and its record."""
    if directory not in present.instances:
        present.instances[directory] = (None, None)  # one that runs itself is told by its own differences
        present.instances[directory] = _look_at(Path(directory), present)
    return present.instances[directory]


def _look_at(directory: Path, present: Present) -> tuple[str | None, Record | None]:
    seen = look(directory)
    record, config = seen.record, None
    if record is not None and record.fingerprint is not None:
        config = record.fingerprint.config
    if record is None or seen.state is not Status.DONE or config is None:
        return str(seen.state), record
    flow, runs_dir = Path(present.project.absolute(record.flow or "")), directory.parents[1]
    instance = Instance(flow, directory.parent.name, directory.name, config, runs_dir)
    try:
        return why_stale(instance, record, present), record
    except FlowFileError as error:
        return str(error) if flow.is_file() else f"flow deleted: {record.flow}", record


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
    if seen.record is None and seen.state is not Status.RUNNING:
        was = "has no run.json" if seen.state is Status.DAMAGED else "was removed"  # it had written what was read
        return f" ({step}/{name} {was})"
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

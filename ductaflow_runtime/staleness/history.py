"""The past executions of an instance, as far as their results are still there, and what changed between them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.files import FileState
from ductaflow_runtime.flow.code import changed_cells
from ductaflow_runtime.runs.fingerprint import Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.kept import kept_results, previous_of
from ductaflow_runtime.runs.look import look
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.value_changes import value_changes


def history(instance: Instance) -> list[Record]:
    """The records of its executions, newest first; where each result lies is its `directory`.

    That of the instance's folder is among them; of two that are of one execution, the one nearer to that folder.
    """
    now = look(instance.directory).record
    found = {} if now is None else {now.started: now}
    places = [kept.folder for kept in kept_results(instance)]
    if now is None or now.status is not Status.DONE:  # else what lies there is on its way to the others
        places.insert(0, previous_of(instance))
    for place in places:
        with contextlib.suppress(RecordError):
            record = read_record(place)
            if record is not None:
                found.setdefault(record.started, record)
    return sorted(found.values(), key=lambda record: record.started or "", reverse=True)


def changes_between(before: Record, after: Record) -> list[str]:
    """What went into one execution and was other in the one before, and which results were."""
    changes = [] if before.flow == after.flow else [f"flow: {before.flow} -> {after.flow}"]
    if before.fingerprint is not None and after.fingerprint is not None:
        changes += _of_fingerprints(before.fingerprint, after.fingerprint)
    if before.results is not None and after.results is not None:
        changes += value_changes("result", before.results, after.results)
    return changes


def _of_fingerprints(old: Fingerprint, new: Fingerprint) -> Iterator[str]:
    yield from value_changes("config", old.config or {}, new.config or {})
    if old.kernel != new.kernel and None not in (old.kernel, new.kernel):
        yield f"kernel: {old.kernel} -> {new.kernel}"
    if old.code.cells != new.code.cells:
        yield f"code: {', '.join(changed_cells(list(old.code.cells), list(new.code.cells)))}"
    yield from _of_files("module", old.modules, new.modules)
    yield from _of_files("input", old.inputs, new.inputs)
    for name in sorted(old.packages.keys() & new.packages.keys()):
        if old.packages[name] != new.packages[name]:
            yield f"package: {name} {old.packages[name]} -> {new.packages[name]}"


def _of_files(what: str, old: Mapping[str, FileState], new: Mapping[str, FileState]) -> Iterator[str]:
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            yield f"{what} no more: {path}"
        elif path not in old:
            yield f"{what} added: {path}"
        elif not _is_same(old[path], new[path]):
            yield f"{what}: {path}"


def _is_same(old: FileState, new: FileState) -> bool:
    if "tree" in old and "tree" in new:
        return old["tree"] == new["tree"]
    return _content(old) == _content(new)


def _content(state: FileState) -> dict[str, object]:
    return {name: value for name, value in state.items() if name not in ("mtime_ns", "tree", "again")}

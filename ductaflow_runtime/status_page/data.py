"""The page's data: columns for the table and the charts, and what it says about the sweep as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ductaflow_runtime.status_page.columns import ABSENT, TextBudget, collect, encode
from ductaflow_runtime.status_page.failures import failure_labels
from ductaflow_runtime.status_page.instances import Instance, milliseconds

TEXT_BUDGET = 3_000_000
LONGEST_IDLE_MS = 60_000
PLACE = "\u0000"
"""Stands in a command for the instance's own path, so that equal commands are stored once."""


def page_model(instances: Sequence[Instance]) -> dict[str, Any]:
    """`columns` as `[group, name, encoded]`, with the number of rows and when the last sweep began."""
    budget = TextBudget(TEXT_BUDGET)
    columns = [
        [group, name, encode(values, budget)]
        for group, named in (
            ("about", _about(instances)),
            ("config", collect([instance.config for instance in instances])),
            ("result", collect([instance.results for instance in instances])),
        )
        for name, values in named.items()
    ]
    return {"rows": len(instances), "columns": columns, "sweep": last_sweep_start(_spans(instances))}


def last_sweep_start(spans: Iterable[tuple[int, int]]) -> int | None:
    """When the newest run of executions began: since then there was no idle minute."""
    start = end = None
    for began, ended in sorted(spans):
        if end is None or began - end > LONGEST_IDLE_MS:
            start = began
            end = ended
        end = max(end, ended)
    return start


def _spans(instances: Iterable[Instance]) -> Iterable[tuple[int, int]]:
    for instance in instances:
        if instance.began is not None:
            yield instance.began, milliseconds(instance.record.get("finished")) or instance.began


def _about(instances: Sequence[Instance]) -> dict[str, list[Any]]:
    return {
        "step": [instance.step for instance in instances],
        "name": [instance.name for instance in instances],
        "status": [instance.status for instance in instances],
        "failure": _known(failure_labels(instances)),
        "problem": _known(instance.problem for instance in instances),
        "warnings": [instance.warnings for instance in instances],
        "duration_s": _known(_number(instance.record.get("duration_s")) for instance in instances),
        "started": _known(instance.began for instance in instances),
        "reason": _known(_text(instance.record.get("reason")) for instance in instances),
        "command": _known(_command(instance) for instance in instances),
        "worker": _known(_worker(instance.record) for instance in instances),
        "environment": _known(_environment(instance.record) for instance in instances),
        "flow": _known(_text(instance.record.get("flow")) for instance in instances),
        "files": [_files(instance) for instance in instances],
    }


def _known(values: Iterable[Any]) -> list[Any]:
    return [ABSENT if value is None else value for value in values]


def _command(instance: Instance) -> str | None:
    command = _text(instance.record.get("command"))
    return None if command is None else command.replace(f"{instance.step}/{instance.name}", PLACE)


def _worker(record: Mapping[str, Any]) -> int | None:
    environment = record.get("environment")
    worker = environment.get("worker") if isinstance(environment, dict) else None
    return worker if isinstance(worker, int) and not isinstance(worker, bool) else None


def _environment(record: Mapping[str, Any]) -> str | None:
    environment = record.get("environment")
    if not isinstance(environment, dict):
        return None
    commit = _text(environment.get("git_commit"))
    changed = " with uncommitted changes" if environment.get("git_dirty") else ""
    parts = (
        f"Python {environment['python']}" if environment.get("python") else None,
        _text(environment.get("platform")),
        _text(environment.get("host")),
        f"git {commit[:10]}{changed}" if commit else None,
    )
    return ", ".join(part for part in parts if part) or None


def _files(instance: Instance) -> str:
    """A letter for each artifact that exists, and the stem of the notebook: `nlcr:assign_traffic`."""
    stem = instance.notebook.removesuffix(".ipynb")
    names = {"n": instance.notebook, "h": f"{stem}.html", "l": "run.log", "c": "config.json", "r": "run.json"}
    return "".join(letter for letter, name in names.items() if name in instance.files) + ":" + stem


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return round(value, 3) if isinstance(value, int | float) and not isinstance(value, bool) else None

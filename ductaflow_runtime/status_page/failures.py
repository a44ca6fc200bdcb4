"""Names each failure so that equal causes form one group: `KeyError 'toll' in cell 4`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ductaflow_runtime.status_page.instances import Instance

LONGEST_LABEL = 200
_VARYING = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")


def failure_labels(instances: Sequence[Instance]) -> list[str | None]:
    """One label a row, None where nothing failed.

    Messages that differ only in numbers or in the instance's name share a label.
    """
    exact = [_label(instance) for instance in instances]
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys = [
        None if label is None else (instance.step, _generic(label, instance))
        for label, instance in zip(exact, instances, strict=True)
    ]
    for key, label in zip(keys, exact, strict=True):
        if key is not None and label is not None:
            groups[key].add(label)
    return [
        None if key is None else (label if len(groups[key]) == 1 else key[1])
        for key, label in zip(keys, exact, strict=True)
    ]


def error_of(instance: Instance) -> dict[str, Any] | None:
    error = instance.record.get("error")
    return error if isinstance(error, dict) else None


def _label(instance: Instance) -> str | None:
    if instance.status == "unreadable":
        return instance.problem
    if instance.status != "failed":
        return None
    error = error_of(instance)
    if error is None:
        return "failed, no error recorded"
    kind = str(error.get("type") or "Error")
    message = str(error.get("message") or "").strip()
    message = message.splitlines()[0] if message else ""
    cell = error.get("cell")
    where = f" in cell {cell}" if isinstance(cell, int) and not isinstance(cell, bool) else ""
    separator = " " if kind == "KeyError" else ": "
    return (f"{kind}{separator}{message}" if message else kind)[:LONGEST_LABEL].rstrip() + where


def _generic(label: str, instance: Instance) -> str:
    head, place, cell = label.rpartition(" in cell ")
    text = head if place else label
    if len(instance.name) > 2:
        text = text.replace(instance.name, "…")
    return _VARYING.sub("…", text) + place + (cell if place else "")

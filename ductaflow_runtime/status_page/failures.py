"""Names each failure so that equal causes form one group: `KeyError 'toll' in cell 4`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.status_page.row import Row

LONGEST_LABEL = 200
_VARYING = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")


def failure_labels(rows: Sequence[Row]) -> list[str | None]:
    """One label a row, None where nothing failed.

    Messages that differ only in numbers or in the instance's name share a label.
    """
    exact = [_label(row) for row in rows]
    keys = [None if label is None else (row.step, _generic(label, row)) for label, row in zip(exact, rows, strict=True)]
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, label in zip(keys, exact, strict=True):
        if key is not None and label is not None:
            groups[key].add(label)
    return [
        None if key is None else (label if len(groups[key]) == 1 else key[1])
        for key, label in zip(keys, exact, strict=True)
    ]


def _label(row: Row) -> str | None:
    if row.status is Status.DAMAGED:
        return row.problem
    if row.status is not Status.FAILED:
        return None
    error = row.record.error
    if error is None:
        return "failed, no error recorded"
    message = error.message.strip().partition("\n")[0]
    where = f" in cell {error.cell}" if error.cell is not None else ""
    separator = " " if error.type == "KeyError" else ": "
    return (f"{error.type}{separator}{message}" if message else error.type)[:LONGEST_LABEL].rstrip() + where


def _generic(label: str, row: Row) -> str:
    head, place, cell = label.rpartition(" in cell ")
    text = head if place else label
    if len(row.name) > 2:
        text = text.replace(row.name, "…")
    return _VARYING.sub("…", text) + place + (cell if place else "")

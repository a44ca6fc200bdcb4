"""The page's data: columns for the table and the charts, and what it says about the sweep as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ductaflow_runtime.runs.states import STATES, Status
from ductaflow_runtime.status_page.columns import COLUMNS, Column, Group, Look
from ductaflow_runtime.status_page.encoding import ABSENT, TextBudget, collect, encode
from ductaflow_runtime.status_page.row import Row

TEXT_BUDGET = 3_000_000
LONGEST_IDLE_MS = 60_000


def page_data(rows: Sequence[Row]) -> dict[str, Any]:
    """The number of rows, their columns and states, and when the last sweep began."""
    budget = TextBudget(TEXT_BUDGET)
    columns = [
        {"group": group, "name": name, "label": label, "values": encode(values, budget)} | look.told(name)
        for group, name, label, look, values in _columns(rows)
    ]
    return {"rows": len(rows), "columns": columns, "states": told_states(), "sweep": last_sweep_start(_spans(rows))}


def told_states() -> list[dict[str, Any]]:
    """The table of states, in order of importance; `plain` is the one that needs no attention."""
    return [
        {
            "name": status,
            "many": state.many or status,
            "shape": state.shape,
            "line": state.line,
            "failure": state.failure,
            "final": state.final,
            "plain": status is Status.DONE,
        }
        for status, state in STATES.items()
    ]


def last_sweep_start(spans: Iterable[tuple[int, int]]) -> int | None:
    """When the newest run of executions began: since then there was no idle minute."""
    start = end = None
    for began, ended in sorted(spans):
        if end is None or began - end > LONGEST_IDLE_MS:
            start = began
            end = ended
        end = max(end, ended)
    return start


def _spans(rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
    for row in rows:
        if row.began is not None:
            yield row.began, row.ended or row.began


def _columns(rows: Sequence[Row]) -> Iterator[tuple[Group, str, str, Look, list[Any]]]:
    for column in COLUMNS:
        if isinstance(column, Column):
            values = [ABSENT if value is None else value for value in column.values(rows)]
            yield Group.ABOUT, column.name, column.label, column.look, values
            continue
        for name, values in collect(_configs(rows) if column.group is Group.CONFIG else _results(rows)).items():
            yield column.group, name, name, column.look, values


def _configs(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """The rows' configs; where some of a step give a parameter, the others with the default that they had."""
    given: dict[str, set[str]] = {}
    for row in rows:
        given.setdefault(row.step, set()).update(row.config)
    return [
        {**row.config, **{key: value for key, value in row.defaults.items() if key in given[row.step]}} for row in rows
    ]


def _results(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    return [row.results for row in rows]

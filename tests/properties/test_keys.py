"""Dotted keys: columns and nested objects are two ways to write the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ductaflow import ConfigError
from ductaflow_runtime.config.base import ABSENT, merge_base
from ductaflow_runtime.config.dotted import flatten, nest
from ductaflow_runtime.config.texts import apply_settings
from ductaflow_runtime.staleness.value_changes import same_types
from tests.properties.values import json_values, tried

names = st.sampled_from(["a", "b", "c", "toll", "é", "x y"])
leaves = json_values.filter(lambda value: not isinstance(value, dict))
configs = st.dictionaries(
    names, st.recursive(leaves, lambda part: st.dictionaries(names, part, min_size=1, max_size=3)), max_size=3
)
flat = st.dictionaries(st.lists(names, min_size=1, max_size=3).map(".".join), leaves, max_size=5)


def laid_over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """What two configs are together, said in the plainest way."""
    both = [name for name in lower if isinstance(lower[name], dict) and isinstance(upper.get(name), dict)]
    return lower | upper | {name: laid_over(lower[name], upper[name]) for name in both}


@given(configs)
def test_there_and_back(config: dict[str, Any]) -> None:
    """A config as dotted keys, nested again, is the config; and so it is given by `--set`, key by key."""
    problems: list[str] = []
    assert same_types(nest(flatten(config).items(), problems), config)
    assert problems == []
    settings = [f"{key}={json.dumps(value)}" for key, value in flatten(config).items()]
    assert same_types(apply_settings({}, settings), config)


@given(flat)
def test_each_column_arrives_or_is_told(columns: dict[str, Any]) -> None:
    """No value is lost: every column is in the config under its dotted name, or a problem names it."""
    problems: list[str] = []
    arrived = flatten(nest(columns.items(), problems))
    told = {problem.split(":")[0] for problem in problems}
    assert {key: value for key, value in columns.items() if key not in told} == arrived
    assert told <= set(columns)


@given(configs, flat)
def test_a_row_on_top_of_the_base(base: dict[str, Any], row: dict[str, Any]) -> None:
    """A row's value counts, at any depth, and nothing else of the base changes; the base itself stays as it is."""
    before = json.dumps(base)
    problems: list[str] = []
    nested = nest(row.items(), problems)
    if problems:
        return
    merged = tried(lambda: merge_base(base, row.items()))
    if isinstance(merged, ConfigError):
        assert all(problem.split(":")[0] in row for problem in merged.problems)
    else:
        assert same_types(merged, laid_over(base, nested))
    assert json.dumps(base) == before


@given(configs, flat)
def test_blank_cells_leave_the_base(base: dict[str, Any], row: dict[str, Any]) -> None:
    """A row of blanks is the base."""
    assert same_types(merge_base(base, [(key, ABSENT) for key in row]), base)

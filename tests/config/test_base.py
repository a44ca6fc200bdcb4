"""What all rows share, and what a row says on top of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ductaflow_runtime.config.base import ABSENT, Absent, merge_base, whole_numbers
from ductaflow_runtime.errors import ConfigError

BASE: dict[str, Any] = {
    "network": "a",
    "model": {"depth": 3, "rate": 0.5, "deep": {"x": 1, "y": 2}},
    "years": [2026],
    "note": None,
}


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ({}, {}),
        ({"network": "b"}, {"network": "b"}),
        ({"new": 1}, {"new": 1}),
        ({"model.depth": 5}, {"model": {"depth": 5, "rate": 0.5, "deep": {"x": 1, "y": 2}}}),
        (
            {"model.deep.y": 7, "model.new": 1},
            {"model": {"depth": 3, "rate": 0.5, "deep": {"x": 1, "y": 7}, "new": 1}},
        ),
        ({"model": {"deep": {"x": 9}}}, {"model": {"depth": 3, "rate": 0.5, "deep": {"x": 9, "y": 2}}}),
        ({"network": ABSENT, "model.depth": ABSENT, "new.key": ABSENT}, {}),
        ({"network": None}, {"network": None}),
        ({"years": [1, 2]}, {"years": [1, 2]}),
        ({"note": {"by": "me"}}, {"note": {"by": "me"}}),
        ({"note.by": "me"}, {"note": {"by": "me"}}),
        ({"model": None}, {"model": None}),
        ({"other.a": 1, "other.b": 2}, {"other": {"a": 1, "b": 2}}),
    ],
)
def test_a_row_overrides_the_base_at_any_depth(row: dict[str, Any], changed: dict[str, Any]) -> None:
    """Values replace, objects are merged, a blank cell leaves what the base has; the base itself stays as it was."""
    before = copy.deepcopy(BASE)
    assert merge_base(BASE, row.items()) == BASE | changed
    assert before == BASE


def test_rows_do_not_see_each_other() -> None:
    """What one row changes under a shared object does not show in the next."""
    row: dict[str, Any] = {"model": {"deep": {"z": 1}}, "own": {"a": 1}}
    first = merge_base(BASE, [*row.items(), ("own.b", 2), ("model.deep.x", 0)])
    assert first["own"] == {"a": 1, "b": 2}
    assert row["own"] == {"a": 1}
    assert merge_base(BASE, []) == BASE


@pytest.mark.parametrize(
    ("base", "column", "value", "told"),
    [
        (BASE, "network.name", 1, "`network` is 'a' in base_config"),
        (BASE, "model", 3, "an object with keys of its own in base_config, and 3 in the row"),
        (BASE, "model.depth", {"a": 1}, "3 in base_config, and an object"),
        (BASE, "model", {"deep": 1}, "model.deep: an object with keys"),
        ({"model.depth": 1}, "model.depth", 2, "named `model.depth`, dots included"),
        ({"a": {"b.c": 1}}, "a.b.c", 2, "named `b.c`, dots included"),
    ],
)
def test_a_value_does_not_become_an_object_unasked(base: dict[str, Any], column: str, value: Any, told: str) -> None:
    """A row that contradicts the base's structure is refused with the key; all conflicts are listed at once."""
    row: list[tuple[str, Any | Absent]] = [(column, value), (column, value)]
    with pytest.raises(ConfigError) as caught:
        merge_base(base, row, "row 3 (b)")
    assert str(caught.value).startswith("row 3 (b) does not fit base_config:")
    assert told in str(caught.value)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("value", "reference", "becomes"),
    [
        (3.0, 1, 3),
        (-3.0, 1, -3),
        (3.5, 1, 3.5),
        (3.0, 1.0, 3.0),
        (3.0, True, 3.0),
        (3.0, None, 3.0),
        (3.0, "1", 3.0),
        ("3.0", 1, "3.0"),
        (1e300, 1, 1e300),
        (None, 1, None),
        ({"a": {"b": 2.0, "c": 2.0}}, {"a": {"b": 1}}, {"a": {"b": 2, "c": 2.0}}),
    ],
)
def test_whole_numbers_that_pandas_made_floats_are_whole_again(value: Any, reference: Any, becomes: Any) -> None:
    """Only where the base or the default has a whole number, and only what is one."""
    found = whole_numbers(value, reference)
    assert repr(found) == repr(becomes)

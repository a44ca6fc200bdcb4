"""What people put into configs, names and records: plain, odd, and impossible."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from ductaflow import DuctaflowError

T = TypeVar("T")

EDGES = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1, 2.0**53, -1e-7]
WHOLE = [0, -1, 2**53 + 1, -(2**63), 2**64, 10**4299]

odd_texts = ["", "\0", "\ud800", "x\udcff", "nan", "\u2028", "\U0001f600", "e\u0301"]
texts = st.text(max_size=12) | st.sampled_from(odd_texts)
keys = st.text(max_size=6) | st.sampled_from(["", "a", "b", "a.b", "$env", "config", "instance_name", "\ud800"])
floats = st.floats() | st.sampled_from(EDGES)
whole_numbers = st.integers() | st.sampled_from(WHOLE)
dates = st.datetimes() | st.dates() | st.datetimes(timezones=st.timezones())
scalars = st.one_of(
    whole_numbers.filter(lambda number: -(2**63) <= number < 2**63).map(np.int64),
    st.integers(0, 255).map(np.uint8),
    st.booleans().map(np.bool_),
    st.floats(width=32).map(np.float32),
    floats.map(np.float64),
    texts.filter(lambda text: "\0" not in text).map(np.str_),
    st.integers(-(2**40), 2**40).map(lambda number: np.datetime64(number, "s")),
    st.integers(-(2**62), 2**62).map(pd.Timestamp),
    st.sampled_from([pd.NA, pd.NaT, np.datetime64("NaT"), np.ma.masked, PurePosixPath("data/links.csv")]),
)
impossible = st.one_of(
    st.binary(max_size=4),
    st.frozensets(st.integers(), max_size=2),
    st.sets(st.integers(), max_size=2),
    st.complex_numbers(),
    st.decimals(allow_nan=False).map(decimal.Decimal),
    st.timedeltas(),
    st.times(),
    st.sampled_from([object(), int, range(3), np.timedelta64(5, "ns"), pd.Timedelta(1), datetime.UTC, np.float128(1)]),
)
plain = st.one_of(st.none(), st.booleans(), whole_numbers, floats, texts)


def nested(leaves: st.SearchStrategy[Any], names: st.SearchStrategy[Any] = keys) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of these values, nested a few deep."""
    inner = st.recursive(
        leaves,
        lambda part: st.lists(part, max_size=3) | st.tuples(part, part) | st.dictionaries(names, part, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(names, inner, max_size=4)


json_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        json_texts,
    ),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(json_texts, part, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(json_texts, json_values, max_size=4)


def tried(call: Callable[[], T]) -> T | DuctaflowError:
    """What a call gives, or what it says instead; any other error is one."""
    try:
        return call()
    except DuctaflowError as error:
        return error

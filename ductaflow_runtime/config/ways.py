"""What to type to have plain values of what is no JSON value; told without importing the library that it is from."""

from __future__ import annotations

import datetime
from typing import Any


def way_to_json(value: object) -> str:
    """What to give in its place, of the types that have an easy way to plain values."""
    kind = type(value)
    if isinstance(value, (set, frozenset)):
        return "; give sorted(...) or list(...) of it"
    if isinstance(value, datetime.timedelta):
        return "; give its .total_seconds()"
    if kind.__name__ == "DataFrame":
        return '; give its .to_dict("list")'
    ways = [f".{name}()" for name in ("tolist", "to_list") if hasattr(kind, name) and hasattr(kind, "__len__")][:1]
    if ways and kind.__name__ == "Series" and _has_names(value):
        ways.append(".to_dict() to keep the names in its index")
    return f"; give its {' or its '.join(ways)}" if ways else ""


def _has_names(series: Any) -> bool:
    """Whether the index of a pandas Series could be the keys of a JSON object."""
    return hasattr(series, "to_dict") and all(isinstance(name, str) for name in series.index)

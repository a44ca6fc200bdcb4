"""NaN and the infinities in a record: JSON has none, so they are `null` there, and what they are stands beside it.

A mark is the word for such a number. The marks of an object or a list are an object with the keys, or the positions as
text, of what has marks inside.
"""

from __future__ import annotations

import math
from typing import Any

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def word_for(number: float) -> str | None:
    """The word for a number that JSON has not; `None` for any other."""
    if math.isfinite(number):
        return None
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def marks_of(value: Any) -> Any:
    """The marks of a value; `None` if it has none, so that it is plain JSON as it is."""
    if isinstance(value, float):
        return word_for(value)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {str(key): marks for key, item in items if (marks := marks_of(item)) is not None}
    return found or None


def without_marked(value: Any, marks: Any) -> Any:
    """The value with `null` for each number that has a mark."""
    if marks is None:
        return value
    if isinstance(marks, str):
        return None
    if isinstance(value, dict):
        return {key: without_marked(item, marks.get(key)) for key, item in value.items()}
    return [without_marked(item, marks.get(str(place))) for place, item in enumerate(value)]


def with_marked(value: Any, marks: Any) -> Any:
    """The inverse; raises `ValueError` for marks that are none, or that stand where there is no `null`."""
    if value is None and isinstance(marks, str) and marks in _WORDS:
        return _WORDS[marks]
    if not isinstance(marks, dict) or not isinstance(value, (dict, list)):
        raise ValueError(f"{marks!r} is no mark for {value!r}")
    changed: Any = value.copy()
    for key, inner in marks.items():
        place = key if isinstance(value, dict) else int(key)
        try:
            changed[place] = with_marked(changed[place], inner)
        except LookupError:
            raise ValueError(f"nothing stands at the mark {key!r}") from None
    return changed

"""Turns rows into columns: numbers as plain lists, everything else as a dictionary and codes.

A sweep's columns hold few distinct values, so this is several times smaller than a list of objects, and the
browser filters and sorts 100,000 rows on integers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LARGEST_EXACT_INTEGER = 2**53
LONG_TEXT = 2_000
SHORT_TEXT = 120


class _Absent:
    """Marks a row that lacks the key, unlike one whose value is `null`."""


ABSENT = _Absent()


class TextBudget:
    """Shortens long texts once the page has taken its share of them."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def shorten(self, texts: Iterable[Any]) -> list[Any]:
        texts = list(texts)
        limit = LONG_TEXT if sum(map(_length, texts)) <= self._left else SHORT_TEXT
        shortened = [_cut(text, limit) for text in texts]
        self._left = max(0, self._left - sum(map(_length, shortened)))
        return shortened


def collect(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """One list a key, in order of first appearance, with `ABSENT` where a row lacks it."""
    columns: dict[str, list[Any]] = {}
    for index, row in enumerate(rows):
        for key, value in row.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = [ABSENT] * len(rows)
            column[index] = value
    return columns


def encode(values: Sequence[Any], budget: TextBudget) -> dict[str, Any]:
    """`{n: numbers}` or `{d: dictionary, c: codes}`; `at` says where it starts when other steps come before.

    `number` marks a dictionary of numbers, `z` the rows whose value is `null` among numbers, `x` those with NaN or an
    infinity, which JSON has not: row and word.
    """
    start, end = _span(values)
    values = values[start:end]
    encoded: dict[str, Any] = {"at": start} if start else {}
    numeric = _is_numeric(values)
    codes, distinct = _codes(values)
    if numeric:
        encoded["number"] = True
    if numeric and len(distinct) * 3 > len(values):
        encoded["n"] = [None if value is ABSENT or _odd(value) else value for value in values]
        nulls = [start + index for index, value in enumerate(values) if value is None]
        odd = [[start + index, word] for index, value in enumerate(values) if (word := _odd(value))]
        return encoded | ({"z": nulls} if nulls else {}) | ({"x": odd} if odd else {})
    return encoded | {"d": budget.shorten(map(_plain, distinct)), "c": codes}


def _span(values: Sequence[Any]) -> tuple[int, int]:
    start, end = 0, len(values)
    while end > start and values[end - 1] is ABSENT:
        end -= 1
    while start < end and values[start] is ABSENT:
        start += 1
    return start, end


def _is_numeric(values: Sequence[Any]) -> bool:
    some = False
    for value in values:
        if _is_number(value):
            some = True
        elif value is not ABSENT and value is not None and not _odd(value):
            return False
    return some


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_EXACT_INTEGER


def _odd(value: object) -> str | None:
    """The word for NaN or an infinity; `None` for any other value."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else None


def _codes(values: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Codes count the distinct values in order of appearance; -1 is a row without the key."""
    known: dict[Any, int] = {}
    distinct: list[Any] = []
    codes = []
    for value in values:
        if value is ABSENT:
            codes.append(-1)
            continue
        # True == 1 in Python, yet they are different values of a config.
        key: Any = json.dumps(value) if isinstance(value, list | dict) else (type(value) is bool, value)
        if word := _odd(value):  # NaN is not equal to itself
            key = (float, word)
        code = known.get(key)
        if code is None:
            code = known[key] = len(distinct)
            distinct.append(value)
        codes.append(code)
    return codes, distinct


def _plain(value: Any) -> Any:
    """What the browser can show without losing digits: `{j: text}` stands for a value written as JSON."""
    if value is None or isinstance(value, str | bool) or _is_number(value):
        return value
    if isinstance(value, int | float):
        return {"j": str(value)}
    return {"j": json.dumps(value, ensure_ascii=False)}


def _length(text: Any) -> int:
    if isinstance(text, dict):
        text = text["j"]
    return len(text) if isinstance(text, str) else 8


def _cut(text: Any, limit: int) -> Any:
    if isinstance(text, dict):
        return {"j": _cut(text["j"], limit)}
    if not isinstance(text, str) or len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text):,} characters)"

"""What each part of a record must look like, because its readers rely on it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

_ODD = {"", ".", ".."}
_ATTEMPT_LOG = re.compile(r"run\.attempt-[1-9]\d{0,8}\.log", re.ASCII)
_DEEPEST = 100
"""More than a config can be. A damaged record may be nested as deep as the JSON reader gets."""


def misfit(stored: Mapping[str, Any]) -> str | None:
    """The first part of a record's JSON that is not as an execution writes it; a part that is missing is unknown."""
    # What is unknown fits, and most texts are plain: a plan of 100,000 rows comes by here as often.
    for name in _TEXTS:
        text = stored.get(name)
        if text is not None and type(text) is not str:
            return name
    for name, fits in _PARTS.items():
        part = stored.get(name)
        if part is not None and not fits(part):
            return name
    parts = stored.get("fingerprint") or {}
    for name, fits in _FINGERPRINT_PARTS.items():
        part = parts.get(name)
        if part is not None and not fits(part):
            return f"fingerprint.{name}"
    return None


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kinds)


def _is_flow(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _is_path(value))


def _is_error(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or type(value.get("cell")) not in (int, type(None)):
        return False
    return all(isinstance(value.get(name), (str, type(None))) for name in ("type", "message", "traceback", "place"))


def _is_amount(most: float, *kinds: type) -> Callable[[Any], bool]:
    """`True` is an int to Python, and an int may be too large for a float."""
    return lambda value: value is None or (type(value) in kinds and 0 <= value <= most)


def _is_plain_object(value: Any) -> bool:
    """Not nested deeper than readers recurse, and without text that cannot be encoded: as a config is."""
    if not isinstance(value, dict):
        return value is None
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inside: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if not item.isascii() and not _is_encodable(item):
                    return False
            elif kind is dict:
                inside += item
                inside += item.values()
            elif kind is list:
                inside += item
        if not inside:
            return True
        level = inside
    return False


def _is_encodable(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _are_outputs(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and _are_files(value) and all(map(_is_inside, value)))


def _are_tables(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_table, value.values())))


def _is_table(told: Any) -> bool:
    if not isinstance(told, dict) or type(told.get("rows")) is not int or not isinstance(told.get("file"), str):
        return False
    dtypes, empty = told.get("dtypes"), told.get("empty")
    if not isinstance(dtypes, dict) or not isinstance(empty, dict) or not all(map(_is_dtype, dtypes.values())):
        return False
    rows = [row for rows in empty.values() for row in (rows if isinstance(rows, list) else (None,))]
    return _is_path(told["file"]) and _is_inside(told["file"]) and all(type(row) is int for row in rows)


def _is_dtype(told: Any) -> bool:
    if isinstance(told, dict):
        return isinstance(told.get("categories"), list) and isinstance(told.get("dtype"), str) and "ordered" in told
    return isinstance(told, str)


def _are_links(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(path, str) and _is_path(path) and _is_inside(path) for path in value)
    )


def _are_attempts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_attempt, value)))


def _is_attempt(told: Any) -> bool:
    if not isinstance(told, dict) or not _is_amount(sys.float_info.max, int, float)(told.get("duration_s")):
        return False
    texts = [told.get(name) for name in ("status", "error")]
    return all(isinstance(text, (str, type(None))) for text in texts) and _is_log(told.get("log"))


def _are_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(text, str) for text in value))


def _is_log(name: Any) -> bool:
    """A re-run clears it away, so it is a name that the runtime gives."""
    return isinstance(name, str) and (name == "run.log" or _ATTEMPT_LOG.fullmatch(name) is not None)


def _is_inside(path: str) -> bool:
    """A re-run clears away what the record lists, so nothing of that may lead out of the instance's folder."""
    return not os.path.isabs(path) and _ODD.isdisjoint(path.split("/"))


def _is_path(text: str) -> bool:
    try:
        return "\0" not in text and (text.isascii() or bool(os.fsencode(text)))
    except UnicodeEncodeError:
        return False


def _are_files(value: Any) -> bool:
    return not value or (
        isinstance(value, dict) and all(isinstance(told, dict) and _is_path(path) for path, told in value.items())
    )


def _are_packages(value: Any) -> bool:
    return not value or (isinstance(value, dict) and all(isinstance(text, str) for text in value.values()))


def _is_code(value: Any) -> bool:
    if not value:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("text"), (str, type(None))):
        return False
    if not _is_plain_object(value.get("defaults")) or value.get("takes_config") not in (True, False, None):
        return False
    cells = value.get("cells") or []
    return isinstance(cells, list) and all(isinstance(cell, str) for cell in cells)


_TEXTS = (
    *("step", "instance_name", "reason", "started", "finished", "command"),
    *("accepted", "accepted_reason", "brought_back"),
)
_PARTS: dict[str, Callable[[Any], bool]] = {
    "flow": _is_flow,
    **dict.fromkeys(("fingerprint", "environment"), _is_a(dict)),
    "results": _is_plain_object,
    "tables": _are_tables,
    "error": _is_error,
    "outputs": _are_outputs,
    **dict.fromkeys(("duration_s", "cpu_s"), _is_amount(sys.float_info.max, int, float)),
    "peak_memory": _is_amount(2**63, int),
    "warnings": _is_amount(2**53, int),
    "links": _are_links,
    "attempts": _are_attempts,
    "dates": _are_texts,
    "outside": _are_texts,
    "foreign": _are_texts,
}
_FINGERPRINT_PARTS: dict[str, Callable[[Any], bool]] = {
    "config": _is_plain_object,
    "code": _is_code,
    "modules": _are_files,
    "inputs": _are_files,
    "packages": _are_packages,
    "kernel": _is_a(str),
}

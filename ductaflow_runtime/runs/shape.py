"""What each part of a record must look like, because its readers rely on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

_ODD = {"", ".", ".."}


def misfit(stored: Mapping[str, Any]) -> str | None:
    """The first part of a record's JSON that is not as an execution writes it; a part that is missing is unknown."""
    for name, fits in _PARTS.items():
        if not fits(stored.get(name)):
            return name
    parts = stored.get("fingerprint") or {}
    for name, fits in _FINGERPRINT_PARTS.items():
        if not fits(parts.get(name)):
            return f"fingerprint.{name}"
    return None


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kinds)


def _is_flow(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _is_path(value))


def _is_error(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and isinstance(value.get("message"), (str, type(None))))


def _are_outputs(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and _are_files(value) and all(map(_is_inside, value)))


def _are_links(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(path, str) and _is_path(path) and _is_inside(path) for path in value)
    )


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
    cells = value.get("cells") or []
    return isinstance(cells, list) and all(isinstance(cell, str) for cell in cells)


_TEXTS = ("step", "instance_name", "reason", "started", "finished", "command", "accepted")
_PARTS: dict[str, Callable[[Any], bool]] = {
    "flow": _is_flow,
    **dict.fromkeys(_TEXTS, _is_a(str)),
    **dict.fromkeys(("results", "fingerprint", "environment"), _is_a(dict)),
    "error": _is_error,
    "outputs": _are_outputs,
    "duration_s": _is_a(int, float),
    "warnings": _is_a(int),
    "links": _are_links,
}
_FINGERPRINT_PARTS: dict[str, Callable[[Any], bool]] = {
    "config": _is_a(dict),
    "code": _is_code,
    "modules": _are_files,
    "inputs": _are_files,
    "packages": _are_packages,
}

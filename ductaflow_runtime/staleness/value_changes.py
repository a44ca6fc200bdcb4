"""Which values of two configs differ, in words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from ductaflow_runtime.config.values import Config

_MISSING = object()
_LONGEST = 60


def value_changes(what: str, old: Config, new: Config, prefix: str = "") -> Iterator[str]:
    """Each key that differs, with its old and its new value; `what` kind of values they are."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        key = f"{prefix}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            yield from value_changes(what, before, after, f"{key}.")
        elif before is _MISSING:
            yield f"{what}: {key} added ({_show(after)})"
        elif after is _MISSING:
            yield f"{what}: {key} removed (was {_show(before)})"
        elif not same_types(before, after) or before != after:
            yield f"{what}: {key} {_show_pair(before, after)}"


def same_types(old: object, new: object) -> bool:
    """Whether two JSON values agree to the type: `1`, `1.0` and `true` are three values, `0.0` and `-0.0` two."""
    if old is new:
        return True
    if type(old) is not type(new):
        return False
    if isinstance(old, float) and isinstance(new, float):
        return old == new and math.copysign(1.0, old) == math.copysign(1.0, new)
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same_types(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same_types, old, new))
    return old == new


def _show(value: object) -> str:
    text = value if isinstance(value, str) and value.strip() else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _show_pair(old: object, new: object) -> str:
    """Two values so that one sees the difference, be it in the type or far into a long text."""
    if _show(old) != _show(new):
        return f"{_show(old)} -> {_show(new)}"
    texts = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
    differs = next((i for i, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), 0)
    skip = max(0, differs - 20)
    return " -> ".join(_show(f"...{text[skip:]}" if skip else text) for text in texts)

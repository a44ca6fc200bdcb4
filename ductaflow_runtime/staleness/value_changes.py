"""Which values of two configs differ, in words."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
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
    """A value on its own; of a long one, digits at the end tell it from all that begin like it."""
    text = _written(value)
    if len(text) <= _LONGEST:
        return text
    return f"{_cut(text)} [{hashlib.sha256(text.encode()).hexdigest()[:8]}]"


def _written(value: object) -> str:
    plain = isinstance(value, str) and value and value == value.strip() and value.isprintable()
    return _bare(value) if plain else json.dumps(value, ensure_ascii=False)


def _bare(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _show_pair(old: object, new: object) -> str:
    """Two values so that one sees the difference, be it in the type, in a blank, or far into a long text."""
    if _looks(_cut(_bare(old))) != _looks(_cut(_bare(new))):
        return f"{_show(old)} -> {_show(new)}"
    shown = _around_the_difference(*(json.dumps(value, ensure_ascii=False) for value in (old, new)))
    if _looks(shown[0]) == _looks(shown[1]):
        shown = _around_the_difference(json.dumps(old), json.dumps(new))
    return " -> ".join(shown)


def _around_the_difference(old: str, new: str) -> tuple[str, str]:
    shorter = min(len(old), len(new))
    differs = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), shorter)
    skip = max(0, differs - 20)
    return _cut(f"...{old[skip:]}" if skip else old), _cut(f"...{new[skip:]}" if skip else new)


def _looks(text: str) -> str:
    """What somebody sees of it: accents may be letters of their own, and blanks are alike."""
    return " ".join(unicodedata.normalize("NFKC", text).split())

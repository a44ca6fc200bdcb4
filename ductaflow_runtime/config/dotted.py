"""Dotted keys, such as a column `a.b`, for the values of nested objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ductaflow_runtime.config.values import Config, Json


def nest(flat: Iterable[tuple[str, Json]], problems: list[str]) -> Config:
    """`a.b` columns as nested objects; a name that is both a value and a parent is a problem."""
    config: Config = {}
    for dotted, value in flat:
        *parents, last = dotted.split(".")
        target = config
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                break
        if not isinstance(target, dict) or last in target:
            problems.append(f"{dotted}: the key is given twice, or is both a value and a parent of other keys")
            continue
        target[last] = value
    return config


def flatten(config: Config, prefix: str = "") -> dict[str, Json]:
    """Nested objects as dotted keys; an empty object stays a value."""
    flat: dict[str, Json] = {}
    for name, value in config.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat

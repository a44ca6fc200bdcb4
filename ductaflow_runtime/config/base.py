"""What all rows share, and what each row says on top of it.

A row's values replace the base's at any depth; an object in a row is merged into the base's, a list replaces it. A
blank cell is `ABSENT` and leaves what the base has, nothing included. All values are plain JSON. What a row does not
change is shared with the base, not copied: neither is to be changed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from ductaflow_runtime.config.secrets import KEY, is_secret
from ductaflow_runtime.config.values import Config, Json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import brief


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
_EXACT = 2**53


def merge_base(base: Config, row: Iterable[tuple[str, Json | Absent]], where: str = "the row") -> Config:
    """A row's config: dotted columns and their values on top of `base`; raises a `ConfigError` with every conflict."""
    problems: list[str] = []
    config = dict(base)
    changed: set[int] = {id(config)}
    for dotted, value in row:
        if value is ABSENT:
            continue
        *parents, last = dotted.split(".")
        if last == KEY and parents:  # a secret is one value, whatever the base has in its place
            last, value = parents.pop(), {KEY: value}
        target = _descend(config, parents, last, changed, problems, dotted)
        if target is not None:
            _put(target, last, value, changed, problems, dotted)
    if problems:
        raise ConfigError(f"{where} does not fit base_config:", problems)
    return config


def _descend(
    config: Config, parents: list[str], last: str, changed: set[int], problems: list[str], dotted: str
) -> Config | None:
    """The object that holds a dotted column's last key, made the row's own; `None` if there can be none."""
    target = config
    for number, parent in enumerate(parents):
        whole = ".".join([*parents[number:], last])
        if whole in target:
            problems.append(f"{dotted}: base_config has a key that is named `{whole}`, dots included; nest it there")
            return None
        inner = target.get(parent)
        if inner is not None and not isinstance(inner, dict):
            above = ".".join(parents[: number + 1])
            problems.append(
                f"{dotted}: `{above}` is {brief(inner)} in base_config, a value that has no keys of its own"
            )
            return None
        target = _own(target, parent, inner or {}, changed)
    return target


def _put(target: Config, key: str, value: Json | Absent, changed: set[int], problems: list[str], dotted: str) -> None:
    old = target.get(key)
    if is_secret(old) or (is_secret(value) and not isinstance(old, dict)):
        target[key] = value
    elif isinstance(value, dict) and isinstance(old, dict):
        inner = _own(target, key, old, changed)
        for name, item in value.items():
            _put(inner, name, item, changed, problems, f"{dotted}.{name}")
    elif isinstance(old, dict) and value is not None:
        problems.append(f"{dotted}: an object with keys of its own in base_config, and {brief(value)} in the row")
    elif isinstance(value, dict) and old is not None:
        problems.append(f"{dotted}: {brief(old)} in base_config, and an object with keys of its own in the row")
    else:
        target[key] = value


def _own(target: Config, key: str, inner: Config, changed: set[int]) -> Config:
    """The object under a key, copied from the base's the first time the row changes it."""
    if id(inner) not in changed:
        inner = dict(inner)
        changed.add(id(inner))
    target[key] = inner
    return inner


def whole_numbers(value: Json, reference: Json) -> Json:
    """`value` with whole numbers where `reference` has them.

    A blank cell makes pandas keep a column of whole numbers as floats: 3 arrives as 3.0. Where the base, or the
    default in the parameters cell, is a whole number, so is the value again, if it is one. All else is as it was.
    """
    if isinstance(value, dict) and isinstance(reference, dict):
        return {key: whole_numbers(item, reference.get(key)) for key, item in value.items()}
    if type(reference) is int and type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value

"""The results of an instance: what `save_results` takes, and what a flow that cannot call it leaves in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.values import Config, Json, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import type_name
from ductaflow_runtime.files import read_json

RESULTS_NAME = "results.json"
_REFUSED = "save_results cannot store:"
_CALL = "save_results takes results by name, as save_results(cost=12.5), or one dict of them"


def given_results(positional: tuple[object, ...], named: dict[str, Any]) -> dict[Any, Any]:
    """What a call of `save_results` names; raises `ConfigError` for one that names nothing."""
    if not positional:
        return named
    if len(positional) > 1 or not isinstance(positional[0], Mapping):
        raise ConfigError(f"{_CALL}; not {', '.join(map(type_name, positional))} without a name")
    twice = [f"{name}: given in the dict and by name" for name in named if name in positional[0]]
    if twice:
        raise ConfigError(_REFUSED, twice)
    return {**positional[0], **named}


def clean_results(values: Mapping[Any, Any], where: str = _REFUSED, before: Mapping[str, Any] | None = None) -> Config:
    """Named results as plain JSON values, all numbers as they are; raises `ConfigError` that says `where`.

    It lists every value that cannot be stored, and every dotted name that is given twice, also by what was saved
    `before` under other names.
    """
    problems: list[str] = []
    clean: Config = {}
    for name, value in values.items():
        if type(name) is str:
            clean[name] = to_json(value, name, problems, all_numbers=True)
            to_json(name, name, problems)
        else:
            problems.append(f"{name!r}: a result is named with text, not with {type_name(name)}")
    if not problems:
        problems += _name_problems({**(before or {}), **clean})
    if problems:
        raise ConfigError(where, problems)
    return clean


def _name_problems(results: Config) -> Iterator[str]:
    seen: set[str] = set()
    for name, value in _dotted(results):
        if name in seen:
            yield f"{name}: the name is given twice, once with dots and once as keys in an object"
        if isinstance(value, dict):
            yield f"{name}: a result is a value, or an object with at least one in it, not an object that is empty"
        seen.add(name)


def _dotted(results: Config) -> Iterator[tuple[str, Json]]:
    for name, value in results.items():
        yield from flatten(value, f"{name}.").items() if isinstance(value, dict) and value else [(name, value)]


def read_results(directory: Path) -> Config:
    """The results in a flow's `results.json`, if it wrote one; raises `ConfigError` for one that cannot be stored."""
    path = directory / RESULTS_NAME
    try:
        loaded = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{RESULTS_NAME} cannot be read as JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f'{RESULTS_NAME} must hold one object, such as {{"total": 1.5}}')
    return flatten(clean_results(loaded, f"{RESULTS_NAME} holds what cannot be stored:"))

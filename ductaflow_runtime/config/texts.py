"""A config as text: that of a JSON file, and `--set a.b=JSON`; or an error that says where it is none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.values import SECRET_KEY, TOO_DEEP, Config, Json, to_config
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import TOO_MANY_DIGITS, not_utf8, shorten_text


def read_config(path: Path) -> Config:
    """The config in a JSON file; raises `ConfigError` that says what is wrong and where."""
    return parse_config(text_of(path, Path.read_bytes), f"config file {path}")


def text_of(path: Path, read: Callable[[Path], bytes]) -> str:
    """The text of a config file; raises `ConfigError` for one that cannot be read."""
    try:
        return read(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise ConfigError(f"config file not found: {path}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"config file {path} {not_utf8(error)}") from None
    except (OSError, ValueError) as error:  # of a path with a null character
        raise ConfigError(f"config file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_config(text: str, where: str) -> Config:
    """The config in a JSON text; raises `ConfigError` that says what is wrong with it."""
    if not text.strip():
        raise ConfigError(f"{where} is empty; write {{}} for an empty config")
    try:
        loaded = json.loads(text, object_pairs_hook=_unique_keys(where))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{where} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{where} is {TOO_DEEP}") from None
    except ValueError:  # of Python's int(): it is JSON, but nobody could write it back
        raise ConfigError(f"{where} holds {TOO_MANY_DIGITS}") from None
    return to_config(loaded, where)


def _unique_keys(where: str) -> Callable[[list[tuple[str, Any]]], Config]:
    def build(pairs: list[tuple[str, Any]]) -> Config:
        built = dict(pairs)
        if len(built) < len(pairs):
            twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            raise ConfigError(f"{where} gives a key twice: {', '.join(twice)}")
        return built

    return build


def apply_settings(config: Config, settings: Iterable[str]) -> Config:
    """`a.b=JSON` texts applied to a copy of `config`; a value that is not JSON is taken as text."""
    changed: Config = json.loads(json.dumps(config))
    for setting in settings:
        dotted, separator, text = setting.partition("=")
        if not separator or not all(dotted.split(".")):
            raise ConfigError(f"--set {setting}: write it as key=value or parent.key=value")
        value = _given_as_text(text, f"--set {setting}")
        *parents, last = dotted.split(".")
        if last == SECRET_KEY and parents:  # a secret is one value, whatever stands in its place
            last, value = parents.pop(), {last: value}
        target = changed
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {setting}: {parent} holds a value, not an object with keys of its own")
        target[last] = value
    return to_config(changed, "--set")


def _given_as_text(text: str, where: str) -> Json:
    """JSON, else the text itself, such as `NaN`, which JSON does not have; raises `ConfigError` for a key twice."""
    try:
        value: Json = json.loads(text, object_pairs_hook=_unique_keys(where), parse_constant=_no_json)
    except RecursionError:
        raise ConfigError(f"{shorten_text(where)} is {TOO_DEEP}") from None
    except (json.JSONDecodeError, _NoJsonError):
        return text
    except ValueError:  # of Python's int()
        raise ConfigError(f"{shorten_text(where)} holds {TOO_MANY_DIGITS}") from None
    return value


class _NoJsonError(ValueError):
    """A number that JSON does not have."""


def _no_json(name: str) -> Json:
    raise _NoJsonError(name)

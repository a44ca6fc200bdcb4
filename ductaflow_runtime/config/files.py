"""A config read from the file that people keep it in: JSON, YAML or TOML, told by the file's ending.

Each gives plain JSON values or an error that says where. Dates become ISO text, `nan` becomes null, an infinity is
refused, as everywhere. YAML means different things to different programs; what its versions 1.1 and 1.2 read
differently (`no`, `012`, `1:30`, `1_000`) is refused with the line and the two ways to write it, and never guessed. One
exception: `1e-3` is a number, as in YAML 1.2 and as everybody means it, though PyYAML takes it as text.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.texts import parse_config, read_config, text_of
from ductaflow_runtime.config.values import TOO_FINE, Config, to_config
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import TOO_MANY_DIGITS

# Texts and comments, and, outside of them, times that `tomllib` cuts off at microseconds.
_TOML = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|"(?:\\.|[^"\\\n])*"'
    r"|'''.*?'{3,5}|'[^'\n]*'|#[^\n]*"
    r"|(?P<fine>(?:\d{4}-\d\d-\d\d[Tt ])?\d\d:\d\d:\d\d\.\d{6}\d*[1-9]\d*(?:[Zz]|[-+]\d\d:\d\d)?)",
    re.DOTALL,
)


def read_config_file(path: Path) -> Config:
    """The config in a file, by its ending; raises `ConfigError` that says what is wrong and where."""
    ending = path.suffix.lower()
    if ending in ("", ".json"):  # without an ending it is a pipe or a temporary file, which was always read as JSON
        return read_config(path)
    if ending == ".toml":
        return to_config(_read_toml(path), f"config file {path}")
    if ending in (".yaml", ".yml"):
        from ductaflow_runtime.config.yaml import parse_yaml

        return to_config(parse_yaml(_text_of(path), f"config file {path}"), f"config file {path}")
    return _read_unknown(path)


def _read_unknown(path: Path) -> Config:
    """Any other ending is JSON, as it always was, or a mistake."""
    text = _text_of(path)  # once: a pipe has no second time
    try:
        json.loads(text)
    except RecursionError:
        pass  # told below
    except ValueError as error:
        raise ConfigError(
            f"config file {path} is not valid JSON ({error}), and its ending {path.suffix} says nothing else; "
            "keep a config as .json, .yaml (or .yml) or .toml"
        ) from None
    return parse_config(text, f"config file {path}")


def _text_of(path: Path) -> str:
    return text_of(path, Path.read_bytes)


def _read_toml(path: Path) -> Config:
    text = _text_of(path)
    try:
        loaded = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"config file {path} is nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        told = str(error).replace("Cannot overwrite a value", "a key is given twice")
        raise ConfigError(f"config file {path} is not valid TOML: {told}") from None
    except ValueError:  # of Python's int()
        raise ConfigError(f"config file {path} holds {TOO_MANY_DIGITS}") from None
    fine = [(text.count("\n", 0, found.start()) + 1, found["fine"]) for found in _TOML.finditer(text) if found["fine"]]
    if fine:
        problems = [f"line {line}: {TOO_FINE.format(written=written)}" for line, written in fine]
        raise ConfigError(f"config file {path} cannot be read as a config:", problems)
    return {key: _with_text_times(value) for key, value in loaded.items()}


def _with_text_times(value: Any) -> Any:
    """TOML has times of day, which are no dates: ISO text as well."""
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _with_text_times(item) for key, item in value.items()}
    return [_with_text_times(item) for item in value] if isinstance(value, list) else value

"""Strict at the border: what goes into an instance is plain JSON, or an error that says where it is not.

Past this module a config is what `json.load` gives, so the three ways to run a flow cannot differ.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import sys
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.wording import (
    TOO_MANY_DIGITS,
    brief,
    is_too_long,
    not_utf8,
    printable,
    shorten_text,
    type_name,
    way_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
Config = dict[str, Any]

TOO_FINE = '{written} is finer than a microsecond, which would be cut off; write "{written}" for the text'
SECRET_KEY = "$env"  # an object with this key alone is a secret, see `secrets`
MOST_DEEP = 60
_DEEP = f"nested more than {MOST_DEEP} deep"


def to_config(config: object, where: str = "config") -> Config:
    """The config as plain JSON values, exact; raises `ConfigError` naming every key that cannot be one."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ConfigError(f"{where}: a config is a dict (a JSON object), not {type_name(config)}")
    problems: list[str] = []
    clean = to_json(config, "", problems)
    if problems:
        raise ConfigError(f"{where} cannot be stored as JSON:", problems)
    assert isinstance(clean, dict)
    return clean


def to_json(
    value: object, key: str, problems: list[str], above: tuple[int, ...] = (), *, all_numbers: bool = False
) -> Json:
    """One value as plain JSON. What cannot be is added to `problems` with its dotted `key`.

    `above` are the objects that the value lies in. `all_numbers`: NaN and the infinities stay, which JSON has not.
    """
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return _text(value, key, problems)  # type: ignore[arg-type]
    if kind is int:
        return _whole(value, key, problems)  # type: ignore[arg-type]
    if kind is float:
        return value if all_numbers else _number(value, key, problems)  # type: ignore[return-value,arg-type]
    if id(value) in above or len(above) > MOST_DEEP:
        problems.append(f"{shorten_text(key) or 'config'}: {_DEEP if len(above) > MOST_DEEP else 'contains itself'}")
        return None
    inside = (*above, id(value))
    if kind is dict:
        return _object(value, key, problems, inside, all_numbers)  # type: ignore[arg-type]
    if isinstance(value, (list, tuple)) and kind in (list, tuple):
        items = enumerate(value)
        return [to_json(item, f"{key}[{i}]", problems, inside, all_numbers=all_numbers) for i, item in items]
    return _scientific(value, key, problems, inside, all_numbers)


def _scientific(value: object, key: str, problems: list[str], inside: tuple[int, ...], all_numbers: bool) -> Json:
    """numpy and pandas values, dates and paths; everything else is refused by type."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return None if value != value else value.isoformat()  # NaT is the one date unlike itself
    if isinstance(value, PurePath):
        return _text(value.as_posix(), key, problems)
    if _is_missing(value):
        return None
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            items = list(value) if value.ndim else value[()]
            return to_json(items, key, problems, inside, all_numbers=all_numbers)
        if isinstance(value, numpy.datetime64):
            return str(numpy.datetime_as_string(value, unit="auto"))
        plain_kinds = (numpy.bool_, numpy.integer, numpy.floating, numpy.str_)
        if isinstance(value, plain_kinds) and not isinstance(value, numpy.timedelta64):  # to numpy it is an integer
            plain = value.item()
            if type(plain) in (bool, int, float, str):
                return to_json(plain, key, problems, inside, all_numbers=all_numbers)
    advice = f"; {way}" if (way := way_to_json(value)) else ""
    problems.append(f"{key or 'config'}: {type_name(value)} is not a JSON value ({brief(value)}){advice}")
    return None


def _is_missing(value: object) -> bool:
    """pd.NA, pd.NaT, np.datetime64('NaT') and a masked value of an array, told without importing pandas."""
    if type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    if type(value).__name__ == "datetime64":
        return bool(value != value)
    return False


def _whole(value: int, key: str, problems: list[str]) -> int:
    if is_too_long(value):
        problems.append(f"{key}: {TOO_MANY_DIGITS}")
    return value


def _number(value: float, key: str, problems: list[str]) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        problems.append(f"{key}: an infinity is not a JSON value; write a large number or null instead")
    return value


def _text(value: str, key: str, problems: list[str]) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        problems.append(f"{key}: text with a lone surrogate cannot be stored ({printable(value)!r})")
    return value


def _object(
    value: dict[object, object], key: str, problems: list[str], inside: tuple[int, ...], all_numbers: bool
) -> Config:
    clean: Config = {}
    for name, item in value.items():
        if type(name) is not str:
            problems.append(f"{key or 'config'}: the key {brief(name)} is {type_name(name)}; JSON keys are text")
            continue
        dotted = printable(f"{key}.{name}" if key else name)
        _text(name, dotted, problems)
        clean[name] = to_json(item, dotted, problems, inside, all_numbers=all_numbers)
    return clean


def texts_in(value: object) -> list[str]:
    """Every text in a config."""
    if isinstance(value, str):
        return [value] if len(value) <= 1024 and "\0" not in value else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts_in(item)]


def dump(config: Json) -> str:
    """The text of a `config.json`: readable, exact, and the same for the same config."""
    return json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(config: Config) -> str:
    """Twelve hexadecimal digits that name a config, whatever the order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
        raise ConfigError(f"{where} is {_DEEP}") from None
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
        raise ConfigError(f"{shorten_text(where)} is {_DEEP}") from None
    except (json.JSONDecodeError, _NoJsonError):
        return text
    except ValueError:  # of Python's int()
        raise ConfigError(f"{shorten_text(where)} holds {TOO_MANY_DIGITS}") from None
    return value


class _NoJsonError(ValueError):
    """A number that JSON does not have."""


def _no_json(name: str) -> Json:
    raise _NoJsonError(name)

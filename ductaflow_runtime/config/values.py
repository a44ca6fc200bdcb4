"""Strict at the border: what goes into an instance is plain JSON, or an error that says where it is not.

Past this module a config is what `json.load` gives, so the three ways to run a flow cannot differ.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import (
    TOO_MANY_DIGITS,
    brief,
    is_too_long,
    printable,
    shorten_text,
    type_name,
    way_to_json,
)

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
Config = dict[str, Any]

TOO_FINE = '{written} is finer than a microsecond, which would be cut off; write "{written}" for the text'
SECRET_KEY = "$env"  # an object with this key alone is a secret, see `secrets`
MOST_DEEP = 60
TOO_DEEP = f"nested more than {MOST_DEEP} deep"


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
        problems.append(f"{shorten_text(key) or 'config'}: {TOO_DEEP if len(above) > MOST_DEEP else 'contains itself'}")
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


def date_keys(value: object, key: str = "") -> Iterator[str]:
    """The dotted keys, in a config as it was given, of dates: as JSON they are text, which does not tell."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from date_keys(item, f"{key}.{name}" if key else name)
    elif (isinstance(value, datetime.date) or type(value).__name__ == "datetime64") and value == value:  # not NaT
        yield key


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

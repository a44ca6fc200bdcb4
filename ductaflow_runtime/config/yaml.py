"""YAML as plain JSON values, exactly or not at all.

PyYAML says which nodes there are and where; what each one means is decided here, since its own reading loses what
this must not: a key given twice, and how a number was written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.reader import ReaderError

from ductaflow_runtime.config.values import MOST_DEEP, TOO_FINE
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import MOST_DIGITS, TOO_MANY_DIGITS

_TAG = "tag:yaml.org,2002:"
_MOST = 200_000
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PADDED = re.compile(r"[-+]?0[0-9]+|0o[0-7]+")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_TOO_FINE = re.compile(r"\.[0-9]{6}[0-9]*[1-9]")
_TRUTH = {"true": True, "false": False}


def parse_yaml(text: str, where: str) -> Any:
    """The one document in a text; raises `ConfigError` that names what cannot be a config, with its line."""
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {_told(error)}") from None
    except RecursionError:
        raise ConfigError(f"{where} is nested too deep") from None
    if len(documents) > 1:
        raise ConfigError(
            f"{where} holds {len(documents)} documents, parted by `---`; keep each config in its own file"
        )
    reader = _Reader(text, where)
    value = reader.value(documents[0], 0) if documents else None
    if reader.problems:
        raise ConfigError(f"{where} cannot be read as a config:", reader.problems)
    if value is None:
        raise ConfigError(f"{where} holds nothing; write {{}} for an empty config")
    return value


def _told(error: yaml.YAMLError) -> str:
    if isinstance(error, ReaderError):
        return f"{chr(error.character)!r} is a character that YAML has not, {error.position} characters from the start"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else problem


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.problems: list[str] = []
        self._text = text
        self._where = where
        self._count = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._count += 1
        if depth > MOST_DEEP or self._count > _MOST:
            line = node.start_mark.line + 1
            raise ConfigError(
                f"{self._where}, line {line}: nested too deep, contains itself, or repeats itself too often"
            )
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.value(item, depth + 1) for item in node.value]
        read = _SCALARS.get(kind) if isinstance(node, yaml.ScalarNode) else None
        if read is None:
            names = {"set": "a set", "binary": "binary data", "omap": "an ordered map", "pairs": "a list of pairs"}
            self._refuse(node, f"{names.get(kind, f'the type !{kind}')} is not a JSON value")
            return None
        try:
            return str(node.value) if kind == "str" and self._is_tagged(node) else read(node)
        except ValueError as error:
            self._refuse(node, str(error))
            return None

    def _is_tagged(self, node: yaml.Node) -> bool:
        """Whether a value has its type written before it, as in `!!str 1e3`."""
        written = self._text[node.start_mark.index : node.end_mark.index]
        return "!" in written.removesuffix(node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, item in node.value:
            if key.tag == f"{_TAG}merge":
                for name, value in self._merged(item, depth).items():
                    merged.setdefault(name, value)
                continue
            name = self._key(key)
            if name in own:
                self._refuse(key, f"the key {name!r} is given twice")
            own[name] = self.value(item, depth + 1)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        """What `<<: *defaults` brings in, of one mapping or of a list of them, of which the first counts most."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for part in parts:
            value = self.value(part, depth + 1)
            if not isinstance(value, dict):
                self._refuse(part, "`<<` takes in the keys of an object, and this is none")
                continue
            for name, item in value.items():
                found.setdefault(name, item)
        return found

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag in (f"{_TAG}str", f"{_TAG}value"):
            return str(node.value)
        written = node.value if isinstance(node, yaml.ScalarNode) else "a list or object"
        self._refuse(node, f'the key {written} is not text; keys are text, so write it in quotes ("{written}")')
        return str(written)

    def _refuse(self, node: yaml.Node, problem: str) -> None:
        self.problems.append(f"line {node.start_mark.line + 1}: {problem}")


def _ambiguous(written: str, one: str, other: str) -> ValueError:
    return ValueError(f"{written} means {one} to some programs and {other} to others; write {one} or {other}")


def _str(node: yaml.ScalarNode) -> str | float:
    written = str(node.value)
    if node.style is not None:
        return written
    if _PADDED.fullmatch(written):
        raise ValueError(f'{written} is a number to some programs and text to others; write "{written}" for the text')
    return float(written) if _FLOAT.fullmatch(written) else written


def _int(node: yaml.ScalarNode) -> int:
    written = str(node.value)
    if _INT.fullmatch(written):
        if len(written.lstrip("+-")) > MOST_DIGITS:
            raise ValueError(TOO_MANY_DIGITS)
        return int(written)
    if _HEX.fullmatch(written):
        return int(written, 16)
    raise ValueError(
        f'{written} is one number to some programs, and another or text to others; write "{written}" for the text, '
        "or the number in plain digits"
    )


def _float(node: yaml.ScalarNode) -> float:
    written = str(node.value)
    if _FLOAT.fullmatch(written):
        value = float(written)
        if math.isinf(value):
            raise ValueError(f"{written} is more than a float can hold")
        return value
    if _NAN.fullmatch(written):
        return math.nan
    if _INFINITE.fullmatch(written):
        raise ValueError("an infinity is not a JSON value; write a large number or null instead")
    raise ValueError(
        f'{written} is a number to some programs and text to others; write "{written}" for the text, '
        "or the number in plain digits"
    )


def _bool(node: yaml.ScalarNode) -> bool:
    written = str(node.value)
    if written.lower() not in _TRUTH:
        raise _ambiguous(written, "true" if written.lower() in ("yes", "on", "y") else "false", f'"{written}"')
    return _TRUTH[written.lower()]


def _timestamp(node: yaml.ScalarNode) -> str:
    if _TOO_FINE.search(str(node.value)):
        raise ValueError(TOO_FINE.format(written=node.value))
    try:
        return str(yaml.SafeLoader("").construct_yaml_timestamp(node).isoformat())
    except ValueError as error:
        raise ValueError(f"{node.value} is no date: {error}") from None


_SCALARS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    "null": lambda node: None,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "value": lambda node: str(node.value),
    "timestamp": _timestamp,
}

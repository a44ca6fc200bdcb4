"""Before anything runs: what a flow is to be given, held against what it can read, as the project's settings say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from keyword import iskeyword

from ductaflow_runtime.config.base import merge_base
from ductaflow_runtime.config.secrets import KEY, with_stand_ins
from ductaflow_runtime.config.values import Config, Json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.parameters.arrival import hindrances
from ductaflow_runtime.parameters.check import ADVICE, KeyProblem, date_warnings, shape_of, type_warnings
from ductaflow_runtime.parameters.expected import Expected
from ductaflow_runtime.parameters.inject import NAME, given_to
from ductaflow_runtime.terminal import say

_MOST_NAMED = 8

Columns = Mapping[str, Sequence[Json]]


@dataclass(frozen=True)
class Finding:
    """One line about what is given: an error if `certain`, of one row or, with `row=None`, of all."""

    text: str
    certain: bool
    row: int | None = None


def examine(expected: Expected, config: Config) -> list[Finding]:
    """What is to be said of one config; raises `ConfigError` if the flow can be given nothing at all."""
    given_to(expected.flow, expected.keys, config)
    config = with_stand_ins(config)
    found = [finding for finding, _ in _told(expected, config)]
    in_base = _in_base(expected) if expected.keys.takes_config else ()  # else they are told of as the config's own
    return [*found, *in_base, *_in_default(expected), *_hindered(expected, config)]


def examine_columns(expected: Expected, columns: Columns) -> list[Finding]:
    """The same for the dotted columns of a control dataframe: what a column's name shows is said once.

    Of each column the first cell of each type is looked at, and of objects the first with each set of keys; what is
    wrong within an object is said of each row that holds one of the kind.
    """
    columns = {name.removesuffix(f".{KEY}"): _without_secrets(values) for name, values in columns.items()}
    given_to(expected.flow, expected.keys, dict.fromkeys(columns))
    found: dict[Finding, None] = {}
    doubted: set[str] = set()
    for column, values in columns.items():
        for rows, config in _kinds_of(column, values):
            for finding, key in _told(expected, config):
                if not finding.certain and key in doubted:
                    continue
                doubted.add(key)
                whole = not finding.certain or column == key or column.startswith(f"{key}.")
                places = [None] if whole else rows
                found.update((Finding(finding.text, finding.certain, row), None) for row in places)
    tops = dict.fromkeys([*(column.partition(".")[0] for column in columns), *expected.base])
    return [*found, *_in_base(expected), *_in_default(expected), *_hindered(expected, tops)]


def _without_secrets(values: Sequence[Json]) -> Sequence[Json]:
    holds_any = not {dict, list}.isdisjoint(map(type, values))
    return [with_stand_ins(value) for value in values] if holds_any else values


def blank_cells(expected: Expected, columns: Columns) -> list[str]:
    """A line for each column whose blank cells arrive as `None`, where the flow has a default that may be meant."""
    found = []
    for column, values in columns.items():
        default: Json = expected.defaults
        for key in column.split("."):
            default = default.get(key) if isinstance(default, dict) else None
        if None in values and default is not None:
            found.append(
                f"blank cells of `{column}` arrive as None; with base_config={{}}, or a base, a blank leaves what "
                f"stands there already ({default!r})"
            )
    return found


def _in_base(expected: Expected) -> Iterator[Finding]:
    """What is to be said of the keys of the base, of which each was known so far by being there.

    A flow that takes `config` may share its base with others. Then none is an error, and those that are like nothing
    that the flow reads are one line.
    """
    alone = replace(expected, base={}, in_doubt=expected.in_doubt or expected.keys.takes_config)
    for text in (*type_warnings(alone.defaults, expected.base), *date_warnings(expected.keys.dates, expected.base)):
        yield Finding(f"base_config: {text}", False)
    unlike = []
    for finding, problem in _keys_told(alone, expected.base):
        if expected.keys.takes_config and problem.suggestion is None:
            unlike.append(f"`{problem.key}`")
        else:
            yield replace(finding, text=f"base_config: {finding.text}")
    if unlike:
        yield _unread("base_config", unlike)


def _in_default(expected: Expected) -> Iterator[Finding]:
    """What is to be said of keys of the default config, which make themselves known by being there.

    The file may be the base as well. Only what the code settles is told, and never as an error.
    """
    if not expected.keys.takes_config:
        return
    alone = replace(expected, base={}, default={}, in_doubt=True)
    unlike: dict[str, list[str]] = {}
    for finding, problem in _keys_told(alone, expected.default):
        where = "base_config" if _holds(expected.base, problem.key) else "default config"
        if problem.certain and problem.suggestion is not None:
            yield replace(finding, text=f"{where}: {finding.text}")
        elif problem.certain:
            unlike.setdefault(where, []).append(f"`{problem.key}`")
    for where, keys in unlike.items():
        yield _unread(where, keys)


def _holds(config: Config, dotted: str) -> bool:
    inner: Json = config
    for key in dotted.split("."):
        if not isinstance(inner, dict) or key not in inner:
            return False
        inner = inner[key]
    return True


def _unread(where: str, keys: Sequence[str]) -> Finding:
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    return Finding(f"{where}: the flow is not seen to read {', '.join(keys[:_MOST_NAMED])}{more}", False)


def _hindered(expected: Expected, given: Iterable[str]) -> Iterator[Finding]:
    """What keeps the keys that are given from arriving, be they known; that is the same for all rows."""
    keys = expected.keys
    if expected.unknown_keys == "ignore":
        return
    tops = [key for key in given if key != NAME or key in keys.parameters]
    found = hindrances(keys.arrival, tops, known=expected.checks.known, takes_config=keys.takes_config)
    strict = expected.unknown_keys == "error" and not expected.in_doubt
    for each in found:
        # A module may read the instance's config file, and give what a cell assigns.
        certain = each.certain and strict and not expected.checks.hidden_in_modules
        yield Finding(each.text, certain)


def _kinds_of(column: str, values: Sequence[Json]) -> Iterator[tuple[list[int], Config]]:
    """A column's cells of each kind: the rows of those, and the first as a config."""
    kinds = set(map(type, values))
    if dict not in kinds:
        for kind in kinds:
            row = next(number for number, value in enumerate(values) if type(value) is kind)
            yield [row], nested(column, values[row])
        return
    rows: dict[object, list[int]] = {}
    for number, value in enumerate(values):
        rows.setdefault(shape_of(value), []).append(number)
    for numbers in rows.values():
        yield numbers, nested(column, values[numbers[0]])


def nested(column: str, value: Json) -> Config:
    """The config that holds one dotted key."""
    return merge_base({}, [(column, value)])


def _told(expected: Expected, config: Config) -> Iterator[tuple[Finding, str]]:
    """Each finding with the dotted key that it is about."""
    yield from ((finding, problem.key) for finding, problem in _keys_told(expected, config))
    for text in (*type_warnings(expected.kinds, config), *date_warnings(expected.keys.dates, config)):
        yield Finding(text, False), f"type of {text.split('`')[1]}"


def _keys_told(expected: Expected, config: Config) -> Iterator[tuple[Finding, KeyProblem]]:
    """What is to be said of the keys."""
    keys = expected.keys
    unusable = [key for key in config if not keys.takes_config and keys.is_python and not _is_variable(key)]
    for key in unusable:
        text = f"`{key}` cannot be a variable of Python, and this flow takes each key as one"
        yield Finding(text, True), KeyProblem(key, True)
    problems = [] if expected.unknown_keys == "ignore" else expected.checks.problems(config)
    for problem in problems:
        if problem.key not in unusable:
            certain = problem.certain and expected.unknown_keys == "error" and not expected.in_doubt
            yield Finding(problem.message, certain), problem


def _is_variable(key: str) -> bool:
    return key.isidentifier() and not iskeyword(key)


def admit(expected: Expected, config: Config, *, once: bool = False) -> None:
    """Raise one `ConfigError` for the keys of a config that its flow cannot use; print a line for each doubt."""
    found = examine(expected, config)
    errors = [finding.text for finding in found if finding.certain]
    if errors:
        raise ConfigError(f"{expected.flow} cannot be run with this config:", errors, ADVICE)
    warn(expected, [finding.text for finding in found], once=once)


def warn(expected: Expected, texts: Iterable[str], *, once: bool = False) -> None:
    """A line on stderr for each text; with `once`, for each that this process has not printed yet."""
    for text in dict.fromkeys(texts):
        line = f"ductaflow: {expected.flow.name}: {text}"
        if once:
            _print_once(str(expected.flow), line)
        else:
            say(line)


@cache
def _print_once(_flow: str, line: str) -> None:
    say(line)

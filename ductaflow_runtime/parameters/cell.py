"""What a parameters cell says: which names it assigns, with which defaults, type hints and comments."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ductaflow_runtime.config.values import Config, Json, to_json
from ductaflow_runtime.parameters.scopes import called_name, pairs_of

CONFIG = "config"
_NO_VALUE = object()
_DATES = frozenset(("date", "datetime", "Timestamp", "datetime64", "to_datetime"))
_MAKE_DATES = frozenset(("today", "now", "fromisoformat", "strptime"))
# Papermill itself reads parameters cells of Python only. `x <- 1  # why`, `const x = 1;  // why`, `x: int = 1`, `x=1`
_FOREIGN = re.compile(
    r"^\s*(?:(?:let|var|val|const|local|int|double|string|bool)\s+)?\$?(?P<name>[^\W\d][\w.]*)\s*"
    r"(?::\s*(?P<hint>[^=#]+?)\s*)?(?:<-|=(?!=))\s*"
    r"(?P<default>.*?);?\s*(?:(?:#|//)\s*(?P<help>.*))?$"
)


@dataclass(frozen=True)
class Parameter:
    """One parameter as a flow declares it: `default` and `hint` as written, empty where there is none."""

    name: str
    default: str = ""
    hint: str = ""
    help: str = ""


def assigned_names(cell: ast.Module) -> tuple[str, ...]:
    """The variables that a parameters cell assigns or declares, in order; imports and functions are none."""
    return tuple(dict.fromkeys(name for statement in cell.body for name in _targets_below(statement)))


def _targets_below(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.comprehension)):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _targets_below(child)


def default_values(cell: ast.Module) -> Config:
    """The defaults that are written as JSON values; what is computed, or assigned in several ways, has none here."""
    found: Config = {}
    for statement in cell.body:
        for name in _targets_below(statement):
            found.pop(name, None)
        for name, value in _simple_assignments(statement):
            plain = _literal(value)
            if plain is not _NO_VALUE:
                found[name] = plain
    return found


def date_defaults(cell: ast.Module) -> tuple[str, ...]:
    """The dotted names whose default is a date: `start = date(2023, 6, 1)`, `config = {"start": date(2023, 6, 1)}`."""
    assigned = [pair for statement in cell.body for pair in _simple_assignments(statement)]
    return tuple(dict.fromkeys(name for target, value in assigned for name in _dates_in(value, target)))


def _dates_in(value: ast.expr, name: str) -> Iterator[str]:
    for key, item in (_items(value) or {}).items():
        yield from _dates_in(item, f"{name}.{key}")
    if isinstance(value, ast.Call):
        *above, last = called_name(value).split(".")
        if last in _DATES or (last in _MAKE_DATES and not _DATES.isdisjoint(above[-1:])):
            yield name


def _simple_assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from _pairs(target, statement.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    for inner, given in pairs_of(target, value) or ():
        yield from _pairs(inner, given)


def _literal(value: ast.expr) -> Json | object:
    """A literal as JSON; `_NO_VALUE` for anything else. Of an object the keys count, whatever their values are."""
    items = _items(value)
    if items is not None:
        read = {key: _literal(item) for key, item in items.items()}
        return {key: None if item is _NO_VALUE else item for key, item in read.items()}
    problems: list[str] = []
    try:
        plain = to_json(ast.literal_eval(value), "", problems)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NO_VALUE
    return _NO_VALUE if problems else plain


def _items(value: ast.expr) -> dict[str, ast.expr] | None:
    """What `{"a": 1}` or `dict(a=1)` holds under keys that are written out; `None` if it is neither."""
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return {str(key.value): item for key, item in pairs if isinstance(key, ast.Constant)}
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "dict":
        return {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg is not None}
    return None


def list_parameters(source: str, cell: ast.Module | None) -> list[Parameter]:
    """The parameters for people to read. `cell` is the syntax of `source`, `None` if it is not Python that can be read.

    Type hints and comments are read by papermill's own inspection, whose import takes a third of a second.
    """
    if cell is None:
        return list(_foreign_parameters(source))
    described = _inspected(source)
    values = {name: value for statement in cell.body for name, value in _simple_assignments(statement)}
    found = []
    for name in assigned_names(cell):
        told = described.get(name, Parameter(name))
        default = ast.unparse(values[name]) if name in values else ""
        found.append(Parameter(name, default, told.hint or _annotation(cell, name), told.help))
    return found


def _inspected(source: str) -> dict[str, Parameter]:
    from papermill.translators import papermill_translators

    log = logging.getLogger("papermill.translators")
    disabled, log.disabled = log.disabled, True  # it warns of each line that is not `name = value`
    try:
        told = papermill_translators.find_translator("python3", "python").inspect({"source": source})
    finally:
        log.disabled = disabled
    hints = {item.name: "" if item.inferred_type_name == "None" else item.inferred_type_name for item in told}
    return {item.name: Parameter(item.name, hint=hints[item.name], help=item.help) for item in told}


def _annotation(cell: ast.Module, name: str) -> str:
    """A hint that papermill's pattern does not cover, such as `float | None`, or one without a value."""
    for statement in cell.body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", None) == name:
            return ast.unparse(statement.annotation)
    return ""


def _foreign_parameters(source: str) -> Iterator[Parameter]:
    for line in source.splitlines():
        match = _FOREIGN.match(line)
        if match and not line.lstrip().startswith(("#", "//")):
            yield Parameter(match["name"], match["default"], match["hint"] or "", match["help"] or "")

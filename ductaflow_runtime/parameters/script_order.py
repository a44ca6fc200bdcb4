"""Whether a script asks for its parameters where a notebook is given them: right below the parameters cell.

A notebook has them from there on, a script from its call on. So what a script computes above the call has the defaults,
and what the parameters cell assigns below it replaces what was given. Only what is certain counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from ductaflow_runtime.parameters.cell import CONFIG, assigned_names
from ductaflow_runtime.parameters.scopes import Function, bound_names, called_name, local_names, reads_at_once

_SHOWING = frozenset({"print", "pprint", "display", "display_config_summary"})
_ALL_VARIABLES = frozenset({"globals", "locals", "vars"})
_MODE = "is_notebook_execution"

_Use = tuple[int, str]
"""A line, and the parameter that it reads."""


@dataclass(frozen=True)
class Script:
    """A script's syntax, the lines of its parameters cell, and the line at which its top level asks for parameters."""

    tree: ast.Module
    cell: range
    asks: int


@dataclass(frozen=True)
class Disorder:
    """The line of a script that assigns a parameter anew after it was given, or else computes with it before."""

    line: int
    name: str
    anew: bool


def find_disorder(script: Script, *, as_config: bool) -> Disorder | None:
    """The first line that makes a script compute otherwise than a notebook; `None` if there is none for certain."""
    declaring = ast.Module([statement for statement in script.tree.body if statement.lineno in script.cell], [])
    names = {CONFIG} if as_config else set(assigned_names(declaring))
    return next(_assigned_anew(script, names, as_config), None) or next(_computed_before(script, names), None)


def _assigned_anew(script: Script, names: Set[str], as_config: bool) -> Iterator[Disorder]:
    """What the parameters cell assigns below the call, from nothing that the call has given."""
    given: set[str] | None = None
    for statement in script.tree.body:
        bound = bound_names([statement])
        if statement.lineno <= script.asks <= _end(statement):
            if as_config and not bound & names:
                return  # it goes by another name
            given = {*names, *_ALL_VARIABLES, *bound}
        elif given is not None and statement.lineno in script.cell:
            if _assigns(statement) and given.isdisjoint(reads_at_once(statement)):
                yield from (Disorder(statement.lineno, name, anew=True) for name in sorted(bound & names))
            given |= bound


def _computed_before(script: Script, names: Set[str]) -> Iterator[Disorder]:
    """What is computed with a parameter between the parameters cell and the call."""
    held = set(names)
    readers: dict[str, str] = {}
    for statement in _run_before(script.tree.body, script.asks):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            read = _read_inside(statement, held, readers)
            readers |= {} if read is None else {statement.name: read}
        if statement.lineno in script.cell or statement.lineno < script.cell.start:
            continue
        yield from (Disorder(line, name, anew=False) for line, name in _uses(statement, held, readers))
        if _assigns(statement):
            held -= bound_names([statement])


def _run_before(body: Sequence[ast.AST], line: int) -> Iterator[ast.stmt]:
    """The statements that end above a line: at the top level, and in the branches that the line itself is in."""
    for statement in body:
        if isinstance(statement, ast.stmt) and _end(statement) < line:
            yield statement
        elif getattr(statement, "lineno", line + 1) <= line:
            for name in ("body", "orelse", "handlers", "finalbody"):
                inner = getattr(statement, name, [])
                if inner and inner[0].lineno <= line <= _end(inner[-1]):
                    yield from _run_before(inner, line)


def _uses(node: ast.AST, held: Set[str], readers: Mapping[str, str]) -> Iterator[_Use]:
    """Where running a statement computes with a parameter; to show or to test it computes nothing."""
    if isinstance(node, (ast.Assert, ast.Delete)) or (isinstance(node, ast.Expr) and _shows(node.value)):
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for part in [*node.decorator_list, node.args]:
            yield from _read(part, node.lineno, held, readers)
        return
    test = node.test if isinstance(node, ast.If) else None
    if test is not None and any(isinstance(part, ast.Call) and _is_called(part, _MODE) for part in ast.walk(test)):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from _uses(child, held, readers)
        elif child is test:
            looked_into = {name for name in held if name != CONFIG or _is_looked_into(test)}
            yield from _read(child, test.lineno, looked_into, readers)
        else:
            yield from _read(child, getattr(node, "lineno", 0), held, readers)


def _read(node: ast.AST, line: int, held: Set[str], readers: Mapping[str, str]) -> Iterator[_Use]:
    yield from ((line, name) for name in reads_at_once(node) if name in held)
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in readers:
            yield line, readers[part.func.id]


def _read_inside(function: Function, held: Set[str], readers: Mapping[str, str]) -> str | None:
    """A parameter that calling a function reads."""
    own = local_names(function)
    uses = (use for statement in function.body for use in _uses(statement, held - own, readers))
    return next((name for _, name in uses), None)


def _shows(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) or (isinstance(value, ast.Call) and called_name(value) in _SHOWING)


def _is_looked_into(test: ast.expr) -> bool:
    """Whether a condition asks for more than whether there is a config at all."""
    parts = [part.value for part in ast.walk(test) if isinstance(part, (ast.Subscript, ast.Attribute))]
    return any(isinstance(part, ast.Name) and part.id == CONFIG for part in parts)


def _is_called(call: ast.Call, name: str) -> bool:
    return called_name(call).rpartition(".")[2] == name


def _assigns(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) or (isinstance(statement, ast.AnnAssign) and statement.value is not None)


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno

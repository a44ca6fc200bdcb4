"""Whose a name is: a function's own, or the notebook's; and which the notebook reads before it assigns them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ALWAYS_THERE = {*dir(builtins), "get_ipython", "display", "In", "Out", "exit", "quit", "__file__"}
LOADER = "load_cli_config"


def called_name(node: ast.Call) -> str:
    """The dotted name that is called, as written; empty if it is no name."""
    parts: list[str] = []
    func = node.func
    while isinstance(func, ast.Attribute):
        parts.append(func.attr)
        func = func.value
    return ".".join(reversed([*parts, func.id])) if isinstance(func, ast.Name) else ""


def pairs_of(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]] | None:
    """The assignments that `a, b = 1, 2` consists of; `None` for one that is not of this kind."""
    if not isinstance(target, (ast.Tuple, ast.List)) or not isinstance(value, (ast.Tuple, ast.List)):
        return None
    if len(target.elts) != len(value.elts) or any(isinstance(item, ast.Starred) for item in target.elts + value.elts):
        return None
    return list(zip(target.elts, value.elts, strict=True))


def parameters_of(arguments: ast.arguments) -> list[str]:
    """The names of a function's parameters, all kinds."""
    rest = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return [item.arg for item in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest]]


def local_names(function: Function | ast.Lambda) -> frozenset[str]:
    """The names that are a function's own."""
    body = function.body if isinstance(function.body, list) else [function.body]
    declared = {n for node in _own_nodes(body) if isinstance(node, (ast.Global, ast.Nonlocal)) for n in node.names}
    return frozenset({*parameters_of(function.args), *bound_names(body)} - declared)


def bound_names(body: Sequence[ast.AST]) -> set[str]:
    """The names that statements bind in their own scope: assigned, imported, defined, caught, matched."""
    return {name for node in _own_nodes(body) for name in bound_by(node)}


def bound_by(node: ast.AST) -> Iterator[str]:
    """The names that this one node binds, its parts left out."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _own_nodes(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of one scope: functions and classes without what is in them, comprehensions without their variables."""
    for node in nodes:
        yield node
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, COMPREHENSIONS):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
            yield from (inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
            continue
        yield from _own_nodes(list(ast.iter_child_nodes(node)))


def free_names(trees: Sequence[ast.Module]) -> set[str]:
    """The variables that code reads without having assigned them: somebody must put them there.

    Assigned is what a statement assigns in any case, before it is read. What only a branch assigns, or the line of a
    CLI cell, can still be somebody else's; a function's reads count if nothing anywhere binds the name.
    """
    bound: set[str] = set()
    free: set[str] = set()
    for tree in trees:
        for statement in tree.body:
            _step(statement, bound, free)
    nodes = [node for tree in trees for node in ast.walk(tree)]
    loaded = {id(target) for node in nodes if is_load(node) for target in ast.walk(node)}
    everywhere = {name for node in nodes if id(node) not in loaded for name in bound_by(node)}
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return (free | (read - everywhere)) - _ALWAYS_THERE


def _step(statement: ast.stmt, bound: set[str], free: set[str]) -> None:
    """Go past one statement: first what it reads, then what it assigns."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        bound.add(statement.name)
        return
    bodies = [list(getattr(statement, name, [])) for name in ("body", "orelse", "finalbody", "handlers", "cases")]
    inside = {id(node) for body in bodies for node in body}
    head = [node for node in ast.iter_child_nodes(statement) if id(node) not in inside]
    free.update(name for node in head for name in reads_at_once(node) if name not in bound)
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        free.update({statement.target.id} - bound)
    if not is_load(statement):
        bound.update(bound_names(head if any(bodies) else [statement]))
    ends = []
    for number, body in enumerate(bodies):
        # A loop may run no time, and a `try` break off; whoever reads the name below counts on neither.
        certain = number == 0 and not isinstance(statement, (ast.If, ast.Match))
        ends.append(bound if certain else set(bound))
        for inner in body:
            _branch(inner, ends[-1], free)
    if isinstance(statement, ast.If):
        bound |= ends[0] & ends[1]


def _branch(inner: ast.AST, bound: set[str], free: set[str]) -> None:
    if isinstance(inner, ast.stmt):
        _step(inner, bound, free)
        return
    within = bound | bound_names([node for node in ast.iter_child_nodes(inner) if not isinstance(node, ast.stmt)])
    if isinstance(inner, ast.ExceptHandler) and inner.name:
        within.add(inner.name)
    for statement in getattr(inner, "body", []):
        _step(statement, within, free)


def reads_at_once(node: ast.AST) -> Iterator[str]:
    """The names that an expression reads at once: not in a lambda's body, not a comprehension's own variables."""
    if isinstance(node, ast.Lambda):
        return
    own: set[str] = set()
    if isinstance(node, COMPREHENSIONS):
        own = {n.id for generator in node.generators for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from (name for name in reads_at_once(child) if name not in own)


def is_load(node: ast.AST) -> bool:
    """Whether a node is the line of a CLI cell, which assigns what is injected in a notebook."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return False
    return called_name(node.value).rpartition(".")[2] == LOADER

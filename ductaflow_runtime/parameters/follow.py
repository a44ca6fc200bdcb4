"""Follows a config through the statements of a flow until nothing new comes up.

The order of statements does not matter, so that a cell that is run twice, or out of order, reads the same.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence

from ductaflow_runtime.parameters import scopes
from ductaflow_runtime.parameters.trail import MODULE, NOTHING, Part, Trail
from ductaflow_runtime.parameters.values import Values

_MOST_ROUNDS = 30
_HOMES = frozenset({"copy", "json", "pprint", "collections", "IPython", "ductaflow", "rich"})


def follow(cells: Sequence[tuple[str, ast.Module]], start: dict[str, Part], takes_config: bool) -> Trail:
    """What becomes of the config. `cells` come with words that say where each is; `start` names what is injected."""
    trail = Trail(takes_config)
    for name, part in start.items():
        trail.bind(name, frozenset({part}), MODULE)
    trees = [tree for _, tree in cells]
    functions = _own_functions(trees)
    statements = _Statements(trail, Values(trail, functions, _own_names(trees)), functions)
    try:
        for _ in range(_MOST_ROUNDS):
            trail.grew = False
            for trail.where, tree in cells:
                statements.go_through(tree.body)
            if not trail.grew:
                return trail
    except RecursionError:
        trail.hide({()}, "is nested too deep to be followed")
    else:
        trail.hide({()}, "hands {} round in circles")
    return trail


def _own_functions(trees: Sequence[ast.Module]) -> dict[str, scopes.Function]:
    """The functions of a flow that nothing can call but by their name, and whose name nothing else has."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    handed = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in called}
    bound = Counter(name for tree in trees for statement in tree.body for name in scopes.bound_names([statement]))
    changed = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    return {
        node.name: node
        for tree in trees
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.decorator_list
        and bound[node.name] == 1
        and node.name not in handed | changed
    }


def _own_names(trees: Sequence[ast.Module]) -> set[str]:
    """The names that a flow binds other than by importing them, under their own name, from where they are at home."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    at_home = {
        id(item)
        for node in nodes
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and _is_at_home(node))
        for item in node.names
        if item.asname in (None, item.name)
    }
    return {name for node in nodes if id(node) not in at_home for name in scopes.bound_by(node)}


def _is_at_home(node: ast.ImportFrom) -> bool:
    return not node.level and str(node.module).partition(".")[0] in _HOMES


class _Statements(ast.NodeVisitor):
    def __init__(self, trail: Trail, values: Values, functions: dict[str, scopes.Function]) -> None:
        self._trail = trail
        self._values = values
        self._followed = {id(function) for function in functions.values()}
        self._inside: list[int] = []

    def go_through(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def generic_visit(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._values.escape(child)
            else:
                self.visit(child)

    def visit_Expr(self, node: ast.Expr) -> None:
        self._values.of(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._values.of(node.annotation)
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.BitOr):
            self._assign(node.target, node.value)
        else:
            self._values.escape(node.value, "computes with {}")
        if not isinstance(node.target, ast.Name):
            self._values.of(node.target)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        pairs = scopes.pairs_of(target, value)
        if pairs is not None:
            for inner, given in pairs:
                self._assign(inner, given)
            return
        parts = self._values.of(value)
        if isinstance(target, ast.Name):
            self._trail.bind(target.id, parts)
            return
        self._trail.hide(parts, "keeps {} in another object")
        self._into(target)

    def _into(self, target: ast.expr) -> None:
        """What is on the left of an assignment: writing a key of the config reads none."""
        if isinstance(target, ast.Subscript):
            self._values.of(target.value)
            self._values.escape(target.slice, "looks something up with {}")
        elif isinstance(target, ast.Attribute):
            self._values.of(target.value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for inner in target.elts:
                self._into(inner)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._into(target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._values.escape(node.iter, "iterates over {}")
        self._into(node.target)
        self.go_through([*node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815 - the library's spelling

    def visit_If(self, node: ast.If | ast.While) -> None:
        self._values.of(node.test)
        self.go_through([*node.body, *node.orelse])

    visit_While = visit_If  # noqa: N815

    def visit_Assert(self, node: ast.Assert) -> None:
        self._values.of(node.test)
        self._values.of(node.msg)

    def visit_Match(self, node: ast.Match) -> None:
        self._values.escape(node.subject, "matches {} with patterns")
        for case in node.cases:
            self._values.of(case.guard)
            self.go_through(case.body)

    def visit_Return(self, node: ast.Return) -> None:
        parts = self._values.of(node.value) if node.value is not None else NOTHING
        if self._inside and self._inside[-1] in self._followed:
            self._trail.give_back(self._inside[-1], parts)
        else:
            self._trail.hide(parts, "returns {} from a function")

    def visit_FunctionDef(self, node: scopes.Function) -> None:
        for decorator in node.decorator_list:
            self._values.escape(decorator, "passes {} to a decorator")
        self._defaults(node)
        self._inside.append(id(node))
        with self._trail.inside(node):
            self.go_through(node.body)
        self._inside.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def _defaults(self, node: scopes.Function) -> None:
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        last = positional[len(positional) - len(arguments.defaults) :]
        pairs = [*zip(last, arguments.defaults, strict=True)]
        for parameter, default in [*pairs, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]:
            self._trail.bind(parameter.arg, self._values.of(default), id(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for item in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self._values.escape(item, "passes {} to a class")
        with self._trail.inside(node):
            self.go_through(node.body)

"""Of which parts of the config an expression may be the value.

Reading a key gives a deeper part; names, copies and the flow's own functions hand parts on. Every other use puts a
part out of sight: what is not understood is never taken for unread.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Set

from ductaflow_runtime.parameters import scopes
from ductaflow_runtime.parameters.magics import hidden_way_of
from ductaflow_runtime.parameters.names import is_shell_call
from ductaflow_runtime.parameters.trail import MODULE, NOTHING, Parts, Trail

UNKNOWN = "uses {} in a way that cannot be followed"
_BY_KEY = frozenset({"get", "pop", "setdefault", "__getitem__", "__contains__"})
_WALKS = frozenset({"items", "keys", "values", "popitem", "__iter__"})
_SHOW = frozenset({"print", "display", "display_config_summary", "pprint", "pp", "pprint.pprint", "pprint.pp"})
_ASK = frozenset({"len", "bool", "type", "id", "isinstance", "callable"})
_LOGS = frozenset({"log", "logger", "logging", "_log", "_logger", "LOG", "LOGGER"})
_LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
# They give back the same keys, as an object or as text; written with or without the module's name.
_COPIES = frozenset({"dict", "copy", "deepcopy", "dumps", "loads", "str", "repr", "pformat", "ChainMap", "OrderedDict"})
_COPIERS = frozenset({"", "copy", "json", "pprint", "collections"})
_DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "dir"})


class Values(ast.NodeVisitor):
    """Asks expressions, and notes on the trail what they read and put out of sight."""

    def __init__(self, trail: Trail, functions: dict[str, scopes.Function], own_names: Set[str]) -> None:
        """`own_names` are names that the flow has given a meaning of its own, whatever library has them too."""
        self._trail = trail
        self._functions = functions
        self._own_names = own_names

    def of(self, node: ast.expr | None) -> Parts:
        """The parts that an expression may be the value of."""
        parts: Parts = NOTHING if node is None else self.visit(node)
        return parts

    def escape(self, node: ast.expr | None, how: str = UNKNOWN) -> None:
        """Put out of sight what an expression is the value of."""
        self._trail.hide(self.of(node), how)

    def _all(self, nodes: Iterable[ast.expr | None]) -> Parts:
        return NOTHING.union(*(self.of(node) for node in nodes))

    def generic_visit(self, node: ast.AST, how: str = UNKNOWN) -> Parts:
        """Whatever else there is: all that is in it goes out of sight."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.escape(child, how)
            else:
                self.generic_visit(child, how)
        return NOTHING

    def _config(self) -> Parts:
        return frozenset({()}) if self._trail.takes_config else NOTHING

    def visit_Name(self, node: ast.Name) -> Parts:
        if node.id == scopes.LOADER:  # handed on, and called by whoever gets it
            return self._config()
        return self._trail.parts_of(node.id)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Parts:
        parts = self.of(node.value)
        self._trail.bind(node.target.id, parts)
        return parts

    def visit_IfExp(self, node: ast.IfExp) -> Parts:
        self.of(node.test)
        return self._all([node.body, node.orelse])

    def visit_BoolOp(self, node: ast.BoolOp) -> Parts:
        return self._all(node.values)

    def visit_BinOp(self, node: ast.BinOp) -> Parts:
        if isinstance(node.op, ast.BitOr):
            return self._all([node.left, node.right])
        return self.generic_visit(node, "computes with {}")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Parts:
        self.of(node.operand)
        return NOTHING

    def visit_Await(self, node: ast.Await) -> Parts:
        return self.of(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Parts:
        return self._all(node.values)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Parts:
        return self._all([node.value, node.format_spec])

    def visit_Lambda(self, node: ast.Lambda) -> Parts:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            self.escape(default)
        with self._trail.inside(node):
            self.escape(node.body, "returns {} from a function")
        return NOTHING

    def visit_List(self, node: ast.List | ast.Tuple | ast.Set) -> Parts:
        return self.generic_visit(node, "keeps {} in another object")

    visit_Tuple = visit_Set = visit_List  # noqa: N815 - the library's spelling

    def visit_Dict(self, node: ast.Dict) -> Parts:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self.escape(key, "uses {} as a key")
                self.escape(value, "keeps {} in another object")
        return self._all(value for key, value in zip(node.keys, node.values, strict=True) if key is None)

    def visit_Starred(self, node: ast.Starred) -> Parts:
        self.escape(node.value, "iterates over {}")
        return NOTHING

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Parts:
        for generator in node.generators:
            self.escape(generator.iter, "iterates over {}")
            self._all(generator.ifs)
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for expression in made:
            self.escape(expression, "keeps {} in another object")
        return NOTHING

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815

    def visit_Compare(self, node: ast.Compare) -> Parts:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            if isinstance(operator, (ast.Is, ast.IsNot)):
                self._all([left, right])
            elif isinstance(operator, (ast.In, ast.NotIn)):
                self._look_up(self.of(right), left)
            else:
                self.escape(left, "compares {}")
                self.escape(right, "compares {}")
        return NOTHING

    def visit_Subscript(self, node: ast.Subscript) -> Parts:
        return self._look_up(self.of(node.value), node.slice)

    def _look_up(self, parts: Parts, key: ast.expr) -> Parts:
        """The parts below these under a key that the code gives, known only if it is written out."""
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return self._trail.read(parts, key.value)
        self.escape(key, "looks something up with {}")
        self._trail.hide(parts, "looks up a key in {} that is made at run time")
        return NOTHING

    def visit_Attribute(self, node: ast.Attribute) -> Parts:
        self.escape(node.value, f"takes .{node.attr} of {{}}")
        return NOTHING

    def visit_Call(self, node: ast.Call) -> Parts:
        if is_shell_call(node):
            way = hidden_way_of(node)
            if way is not None:
                self._trail.hide({()}, way)
            return self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            parts = self.of(node.func.value)
            if parts:
                return self._method(node, node.func.attr, parts)
        elif not isinstance(node.func, ast.Name):
            self.escape(node.func)
        return self._function(node, scopes.called_name(node))

    def _method(self, node: ast.Call, name: str, parts: Parts) -> Parts:
        """A method of the config, or of a part of it."""
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name in _BY_KEY and node.args:
            return self._look_up(parts, node.args[0]) | self._all(given[1:])
        for argument in given:
            self.escape(argument, f"passes {{}} on to {name}()")
        if name == "copy":
            return parts
        if name not in ("update", "clear"):
            self._trail.hide(parts, "iterates over {}" if name in _WALKS else f"calls {name}() of {{}}")
        return NOTHING

    def _function(self, node: ast.Call, name: str) -> Parts:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        root, _, last = name.rpartition(".")
        if name in self._functions and self._trail.owner(name) == MODULE:
            return self._own_function(node, self._functions[name])
        library = name.partition(".")[0] not in self._own_names
        copies = library and last in _COPIES and root in _COPIERS
        if any(keyword.arg is None for keyword in node.keywords) and not copies:
            for keyword in node.keywords:
                self.escape(keyword.value, "unpacks {} with **" if keyword.arg is None else UNKNOWN)
        if last == scopes.LOADER:
            self._all(given)
            return self._config()
        to_file = any(keyword.arg in ("file", "stream") for keyword in node.keywords)
        shows = (library and name in _SHOW | _ASK) or (root in _LOGS and last in _LEVELS)
        if shows and not to_file:
            self._all(given)
            return NOTHING
        if copies:
            for keyword in node.keywords:
                if keyword.arg is not None:
                    self.escape(keyword.value, "keeps {} in another object")
            return self._all([*node.args, *(keyword.value for keyword in node.keywords if keyword.arg is None)])
        if name in _DYNAMIC and (name in ("exec", "eval") or not given):
            self._trail.hide({()}, f"uses {name}()")
        to = name or getattr(node.func, "attr", "")
        for argument in given:
            self.escape(argument, f"passes {{}} on to {to}()" if to else "passes {} on to a function that a call gives")
        return NOTHING

    def _own_function(self, node: ast.Call, function: scopes.Function) -> Parts:
        """A function of the flow: what it is given goes on under the names of its parameters."""
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        named = {item.arg for item in [*arguments.args, *arguments.kwonlyargs]}
        for number, value in enumerate(node.args):
            plain = not any(isinstance(item, ast.Starred) for item in node.args[: number + 1])
            if plain and number < len(positional):
                self._trail.bind(positional[number].arg, self.of(value), id(function))
            else:
                self.escape(value, f"passes {{}} on to {function.name}()")
        for keyword in node.keywords:
            if keyword.arg in named:
                self._trail.bind(str(keyword.arg), self.of(keyword.value), id(function))
            else:
                how = "unpacks {} with **" if keyword.arg is None else f"passes {{}} on to {function.name}()"
                self.escape(keyword.value, how)
        return self._trail.returned(id(function))

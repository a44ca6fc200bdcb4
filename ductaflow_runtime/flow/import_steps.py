"""What code is certain to import, in order, up to where it may change what there is to import.

Any call may extend the import path, make a module or end the program, so nothing is certain below one; but for calls
that are known to do nothing of the kind, which stand between the imports of nearly every flow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ductaflow_runtime.flow.import_order import MAYBE, SETS
from ductaflow_runtime.flow.syntax import finds_modules_itself
from ductaflow_runtime.parameters.scopes import called_name

_HARMLESS_MAGICS = frozenset({"matplotlib", "config", "precision"})
_OF_DUCTAFLOW = frozenset(["is_notebook_execution", "load_cli_config", "load_cli_parameters"])
_OF_DUCTAFLOW |= {"display_config_summary", "project_path", "instance_path"}
_OF_PYTHON = frozenset(["print", "len", "range", "dict", "list", "set", "frozenset", "tuple", "str", "int", "float"])
_OF_PYTHON |= {"bool", "abs", "round", "min", "max", "sum", "sorted", "zip", "enumerate", "isinstance", "get_ipython"}
_OF_PYTHON |= {"Path", "namedtuple", "defaultdict", "TypeVar", "getLogger", "date", "datetime", "timedelta", "field"}
_HARMLESS_MODULES = frozenset(
    ["re", "math", "logging", "warnings", "collections", "dataclasses", "itertools", "random"]
)
_HARMLESS_MODULES |= {"datetime", "pathlib", "np", "numpy", "pd", "pandas", "plt", "mpl", "matplotlib", "sns"}
_LEAVING = (ast.Raise, ast.Return, ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)


def import_steps(tree: ast.Module, package: str = "") -> Iterator[str]:
    """Dotted names in the order in which they are imported; `SETS` is the last, where nothing below it is certain.

    `MAYBE` stands before what is imported under a condition, and before `a.b` of `from a import b`, which need not be a
    module. `package` is where relative imports start.
    """
    if finds_modules_itself([tree]):
        yield SETS
        return
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from _imported(statement, package)
            continue
        parts = list(_run_at_once(statement))
        if not all(map(_is_harmless, parts)):
            yield SETS
            return
        for part in parts:
            if isinstance(part, (ast.Import, ast.ImportFrom)):
                yield from (MAYBE + name.removeprefix(MAYBE) for name in _imported(part, package))


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    if statement.level and not package:
        return
    above = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
    name = ".".join([*above, *([statement.module] if statement.module else [])])
    if name:
        yield name
        yield from (f"{MAYBE}{name}.{alias.name}" for alias in statement.names if alias.name != "*")


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement that run with it: no function's body, and no decorator, which only wraps."""
    yield node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inside: list[ast.AST] = [*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)]
    elif isinstance(node, ast.ClassDef):
        inside = [*node.bases, *node.keywords, *node.body]
    elif isinstance(node, ast.Lambda):
        inside = []
    else:
        inside = list(ast.iter_child_nodes(node))
    for each in inside:
        yield from _run_at_once(each)


def _is_harmless(node: ast.AST) -> bool:
    """Whether a part of a statement neither ends the code nor changes what there is to import."""
    if isinstance(node, _LEAVING):
        return False
    if not isinstance(node, ast.Call):
        return True
    name = called_name(node)
    if not name:
        return isinstance(node.func, ast.Attribute) and _is_harmless_magic(node, node.func.value)
    module, _, called = name.rpartition(".")
    if module in ("", "ductaflow"):
        return called in _OF_DUCTAFLOW or (not module and called in _OF_PYTHON)
    return module.partition(".")[0] in _HARMLESS_MODULES


def _is_harmless_magic(call: ast.Call, shell: ast.expr) -> bool:
    magic = getattr(call.args[0], "value", None) if call.args else None
    return isinstance(shell, ast.Call) and called_name(shell) == "get_ipython" and magic in _HARMLESS_MAGICS

"""In which order Python code imports, and where in between it sets what an import may read.

What is imported after such a place depends on it (`JAX_ENABLE_X64`, a backend, a warnings filter), so nobody may import
it ahead. Decided from the syntax; what that cannot tell counts as a place where something is set.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

SETS = "!"
MAYBE = "?"
"""Before a name: imported under a condition, or when some function is called."""

_MAY_NOT_HAPPEN = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda),
    *(ast.If, ast.Match, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),
)
_ENVIRONMENT = frozenset(("environ", "environb"))
_OF_SYS = frozenset(("path", "modules", "meta_path", "path_hooks", "warnoptions"))
_READING_METHODS = frozenset(("get", "copy", "items", "keys", "values", "index", "count"))
_APPENDING = frozenset(("append", "extend"))  # to the import path: what is installed comes first
_READING_CALLS = frozenset(("dict", "list", "tuple", "set", "sorted", "len", "print", "enumerate"))
_SETTERS = frozenset(
    [
        "putenv",
        "unsetenv",
        "setenv",
        "delenv",
        "load_dotenv",
        "set_start_method",
        "filterwarnings",
        "simplefilter",
        "resetwarnings",
        "setlocale",
        "switch_backend",
        "reload",
        "exec_module",
        "run_path",
        "run_module",
    ]
)
_RUN_CODE = frozenset(("exec", "eval"))
_IMPORTERS = frozenset(("import_module", "__import__"))
_SAID_BY_NAME = frozenset(("os.environ", "environ"))
_HARMLESS_MAGICS = frozenset(
    ["autoreload", "config", "time", "timeit", "who", "whos", "precision", "pprint", "pwd", "ls", "pip", "conda"]
)
_HARMLESS_LINES = frozenset([("load_ext", "autoreload"), ("matplotlib", "inline"), ("matplotlib", "")])
_CELL_MAGICS_IN_PYTHON = frozenset(("time", "timeit", "capture", "prun"))
_CELL_MAGICS_ELSEWHERE = frozenset(
    ["bash", "sh", "script", "system", "html", "HTML", "javascript", "js", "latex", "markdown", "svg", "writefile"]
)


def import_order(trees: Iterable[ast.AST | None]) -> list[str]:
    """The imports of code in the order of its text, `SETS` where something is set. `None` is code that is not Python.

    `a.b` is `import a.b`, `a:b` is `from a import b`, with a dot before it for each package upwards.
    """
    order = _Order()
    for tree in trees:
        if tree is None:
            order.steps.append(SETS)
        else:
            order.visit(tree)
    return order.steps


class _Order(ast.NodeVisitor):
    """Goes through code in the order of its text."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._only_read: set[ast.AST] = set()
        self._matplotlib = {"matplotlib"}
        self._uncertain = 0

    def _imports(self, name: str) -> None:
        self.steps.append(MAYBE + name if self._uncertain else name)

    def _sets(self) -> None:
        self.steps.append(SETS)

    def visit(self, node: ast.AST) -> None:
        """What stands in a function, a loop or under a condition may not happen; what is iterated over is only read."""
        maybe = isinstance(node, _MAY_NOT_HAPPEN)
        if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._only_read.add(node.iter)
        self._uncertain += maybe
        super().visit(node)
        self._uncertain -= maybe

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b as c`."""
        for alias in node.names:
            self._imports(alias.name)
            if alias.name == "matplotlib" and alias.asname:
                self._matplotlib.add(alias.asname)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b as c`."""
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self._imports(f"{module}:{alias.name}")
            renamed = alias.asname is not None and alias.name in _ENVIRONMENT | _SETTERS
            if renamed or (module, alias.name) == ("matplotlib", "use"):
                self._sets()

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`environ["A"]` reads it, `environ["A"] = "1"` does not."""
        if isinstance(node.ctx, ast.Load):
            self._only_read.add(node.value)
        elif isinstance(node.slice, ast.Constant) and node.slice.value == "backend":
            self._sets()  # matplotlib.rcParams["backend"]
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """`"A" in environ`."""
        self._only_read.update(node.comparators)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        """`{**environ}`."""
        self._only_read.update(value for key, value in zip(node.keys, node.values, strict=True) if key is None)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """`patch.dict("os.environ", ...)`, `getattr(os, "environ")`."""
        if isinstance(node.value, str) and node.value in _SAID_BY_NAME:
            self._sets()

    def visit_Name(self, node: ast.Name) -> None:
        """`environ`, imported from `os`."""
        if node.id in _ENVIRONMENT and node not in self._only_read:
            self._sets()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`os.environ`, `sys.path`, and what is asked of them; `warnings.filters = ...`."""
        of = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr in _READING_METHODS or (node.attr in _APPENDING and not _is_environment(node.value)):
            self._only_read.add(node.value)
        watched = node.attr in _ENVIRONMENT or (of == "sys" and node.attr in _OF_SYS)
        changed = of == "warnings" and not isinstance(node.ctx, ast.Load)
        if changed or (watched and node not in self._only_read):
            self._sets()
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Calls that set something, import something, or run code that is a text."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _READING_CALLS and isinstance(node.func, ast.Name):
            self._only_read.update(node.args)
        self._only_read.update(keyword.value for keyword in node.keywords if keyword.arg == "env")
        runs_code = name in _RUN_CODE and isinstance(node.func, ast.Name)
        if runs_code or name in _SETTERS or self._chooses_backend(node.func):
            self._sets()
        elif name in _IMPORTERS:
            self._imports_by_call(node)
        elif name in ("run_line_magic", "run_cell_magic", "magic"):
            self._runs_magic(name, node)
        self.generic_visit(node)

    def _chooses_backend(self, called: ast.expr) -> bool:
        return isinstance(called, ast.Attribute) and called.attr == "use" and _name_of(called.value) in self._matplotlib

    def _imports_by_call(self, node: ast.Call) -> None:
        name = _text(node.args[0]) if len(node.args) == 1 else None
        if name is None:
            self._sets()
        else:
            self._imports(name)

    def _runs_magic(self, call: str, node: ast.Call) -> None:
        magic, *given = [_text(value) for value in node.args] or [None]
        line = given[0] if given else None
        if call == "run_cell_magic" and magic in _CELL_MAGICS_IN_PYTHON:
            self._runs_text(given[1] if len(given) > 1 else None)
            return
        elsewhere = call == "run_cell_magic" and magic in _CELL_MAGICS_ELSEWHERE
        if not elsewhere and magic not in _HARMLESS_MAGICS and (magic, line) not in _HARMLESS_LINES:
            self._sets()

    def _runs_text(self, text: str | None) -> None:
        try:
            tree = ast.parse(text or "")
        except SyntaxError:
            self._sets()
        else:
            self._uncertain += 1
            self.visit(tree)
            self._uncertain -= 1


def _is_environment(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr in _ENVIRONMENT) or _name_of(node) in _ENVIRONMENT


def _name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

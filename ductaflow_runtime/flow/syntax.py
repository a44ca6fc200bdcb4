"""What a syntax tree says: what it imports, and what is certain to go wrong before it runs."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator
from keyword import iskeyword

_FREE_NAMES = frozenset(
    {"meta_path", "path_hooks", "path_importer_cache", "addsitedir", "import_module", "__import__", "reload", "exec"}
)
_FIRST_WORD = re.compile(r"(?P<word>[^\W\d]\w*)\b\s*+(?![=!]).*")
_IMPORTERS = frozenset({"import_module", "__import__"})
_OF_SYS = frozenset({"path", "modules"})
_OF_SCRIPTS = frozenset({"load_cli_config", "load_cli_parameters"})
_LONGEST_PATH = 1024
_HARMLESS_MAGICS = frozenset({"matplotlib", "config", "time", "timeit", "capture", "precision"})


def literals(tree: ast.AST) -> Iterator[str]:
    """The texts in code that could be a path."""
    inside_f_strings = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in inside_f_strings:
            continue
        text = node.value
        if 0 < len(text) <= _LONGEST_PATH and "\n" not in text and "\0" not in text:
            yield text


def imported_names(tree: ast.AST) -> Iterator[str]:
    """The full names that `import` statements anywhere in a tree ask for, and calls that name a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            name = getattr(node.args[0], "value", None)
            if called in _IMPORTERS and isinstance(name, str) and name and not name.startswith("."):
                yield name


def syntax_error(source: str, tree: ast.Module | None) -> SyntaxError | None:
    """Why code cannot be compiled, statement by statement as IPython does; `None` if it can.

    `tree` is what has been made of `source`, magics and all; `None` if that was not to be done.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for node in (ast.parse(source) if tree is None else tree).body:
                compile(ast.Module([node], []), "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return error
    except ValueError as error:  # a null byte
        return SyntaxError(str(error))
    return None


def may_be_magic(source: str) -> bool:
    """Whether IPython may take a cell that is no Python for a line magic without its sign, such as `time f()`.

    It does so with a cell of one line, if nothing in Python has that name. Extensions add magics of their own.
    """
    line = _FIRST_WORD.fullmatch(source.strip())
    return line is not None and not iskeyword(line["word"]) and not hasattr(builtins, line["word"])


def finds_modules_itself(trees: Iterable[ast.AST]) -> bool:
    """Whether code changes where modules come from, so that nobody can tell which are there."""
    return any(_is_free(node) for tree in trees for node in ast.walk(tree))


def _is_free(node: ast.AST) -> bool:
    name = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)
    if name in _FREE_NAMES:
        return True
    if isinstance(node, ast.Attribute):
        return node.attr in _OF_SYS and getattr(node.value, "id", None) == "sys"
    if isinstance(node, ast.ImportFrom):
        return node.module == "sys" and any(alias.name in _OF_SYS for alias in node.names)
    return isinstance(node, ast.Call) and _is_free_magic(node)


def _is_free_magic(call: ast.Call) -> bool:
    shell = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not isinstance(shell, ast.Call) or getattr(shell.func, "id", None) != "get_ipython":
        return False
    magic = getattr(call.args[0], "value", None) if call.args else None
    named = isinstance(call.func, ast.Attribute) and call.func.attr in ("run_line_magic", "run_cell_magic")
    return not (named and magic in _HARMLESS_MAGICS)


def is_given_arguments(tree: ast.AST) -> bool:
    """Whether code calls one of ductaflow's functions that read a script's arguments."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any((getattr(func, "attr", None) or getattr(func, "id", None)) in _OF_SCRIPTS for func in calls)


def default_config_in(tree: ast.AST) -> str | None:
    """The path that a CLI block hands to `load_cli_config`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "default_config")]
        if called == "load_cli_config" and given:
            value = given[0]
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value
    return None

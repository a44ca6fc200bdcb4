"""Which names and texts a piece of code holds that could be the key of a config, and which modules it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ductaflow_runtime.parameters.scopes import LOADER

_LONGEST_KEY = 200
_DOTTED = re.compile(r"\w+(\.\w+)+")
_WORD = re.compile(r"\w+")
FRAMES = frozenset({"f_globals", "f_locals", "user_ns", "_getframe", "currentframe"})
_MAIN = "__main__"
CONFIG_FILE = "config.json"


def names_in(tree: ast.AST) -> set[str]:
    """Every name, and every text that could be a key; docstrings and the fixed parts of f-strings are none."""
    found: set[str] = set()
    idle = _idle_texts(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in idle:
                found.update(_keys_in(node.value))
        elif is_shell_call(node):
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            found.update(word for text in texts if isinstance(text, str) for word in words_in(text))
        found.update(name for name in _identifiers(node) if name)
    return found


def _identifiers(node: ast.AST) -> Iterator[str | None]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, (ast.arg, ast.keyword)):
        yield node.arg
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.MatchAs, ast.MatchStar)):
        yield node.name
    elif isinstance(node, ast.MatchClass):
        yield from node.kwd_attrs
    elif isinstance(node, ast.alias):
        yield from (node.asname or node.name).split(".")


def _keys_in(text: str) -> Iterator[str]:
    if 0 < len(text) <= _LONGEST_KEY and "\n" not in text:
        yield text
        if _DOTTED.fullmatch(text):
            yield from text.split(".")


def words_in(text: str) -> list[str]:
    """The words of a text, as names in a language that is not parsed here."""
    return _WORD.findall(text)


def _idle_texts(tree: ast.AST) -> set[int]:
    """Texts that nothing uses: docstrings, texts on a line of their own, and pieces of f-strings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            found.update(id(part) for part in node.values)
    return found


def is_shell_call(node: ast.AST) -> bool:
    """Whether a node calls IPython's shell, as magics and `!commands` do once they are Python."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    shell = node.func.value
    return isinstance(shell, ast.Call) and getattr(shell.func, "id", "") == "get_ipython"


def hidden_way(tree: ast.AST, default_config: str | None = None) -> str | None:
    """How code may get at the config other than by its name; `None` if it does not.

    The default config that a CLI cell names is no such way, whatever its file is called.
    """
    for node in ast.walk(tree):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        if name in FRAMES:
            return f"looks into variables with {name}"
        if _is_main(node):
            return f"looks into variables with {_MAIN}"
        if isinstance(node, ast.alias) and node.name == LOADER and node.asname:
            return f"gives {LOADER} another name"
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and CONFIG_FILE in text and text != default_config:
            return f"reads {CONFIG_FILE} itself"
    return None


def _is_main(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return getattr(node.slice, "value", None) == _MAIN
    if isinstance(node, ast.ImportFrom) and node.module == _MAIN:
        return True
    return isinstance(node, (ast.Import, ast.ImportFrom)) and any(item.name == _MAIN for item in node.names)


def imports_in(tree: ast.AST, package: str = "") -> Iterator[str]:
    """The dotted names of what is imported, each one that might be a module; `a.*` for everything in `a`.

    `package` is the one that a relative import starts from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level and package else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            if module:
                yield module
            yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names)

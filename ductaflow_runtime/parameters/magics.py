"""IPython's magics and `!commands` as code: those that run Python are opened up, the others judged by their text."""

from __future__ import annotations

import ast
import copy
import re

from ductaflow_runtime.parameters.names import is_shell_call

_PYTHON = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "snakeviz"})
_HARMLESS = frozenset({"matplotlib", "load_ext", "reload_ext", "autoreload", "aimport", "config", "pylab", "precision"})
_IDLE = frozenset(
    {"pip", "conda", "mamba", "uv", "pinfo", "pinfo2", "pwd", "ls", "mkdir", "xmode", "who", "whos", "env"}
)
_PAGES = frozenset({"env", "html", "javascript", "js", "latex", "markdown", "svg"})
_TEXT = frozenset({"system", "sx", "bash", "sh", "script", "cd", "cat", "writefile", "!"})


_OPTIONS = re.compile(r"(?:\s*-[a-zA-Z]+(?:[ =]?\d+)?)+\s+")


def parse(source: str) -> ast.Module | None:
    """The syntax tree of a cell, magics and all; `None` if it is not Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        pass
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError):
        return None


class _Opener(ast.NodeTransformer):
    """Puts the Python that a magic runs in the magic's place."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        code = _code_of(node.value)
        if code is None:
            return self.generic_visit(node)
        return [statement for statement in self.visit(code).body if isinstance(statement, ast.stmt)] or ast.Pass()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        code = _code_of(node)
        if code is not None and len(code.body) == 1 and isinstance(code.body[0], ast.Expr):
            value: ast.AST = self.visit(code.body[0].value)
            return value
        return self.generic_visit(node)


def open_magics(tree: ast.Module) -> ast.Module:
    """The tree with the code of `%time`, `%%capture` and their like as code; the tree given stays as it is."""
    if any(is_shell_call(node) for node in ast.walk(tree)):
        opened: ast.Module = _Opener().visit(copy.deepcopy(tree))
        return opened
    return tree


def _code_of(call: ast.expr) -> ast.Module | None:
    texts = _texts(call) if isinstance(call, ast.Call) and is_shell_call(call) else []
    if len(texts) < 2 or texts[0] not in _PYTHON:
        return None
    code = parse(texts[-1])
    options = _OPTIONS.match(texts[-1])
    return parse(texts[-1][options.end() :]) if code is None and options else code


def _texts(call: ast.Call) -> list[str]:
    return [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


def hidden_way_of(call: ast.Call) -> str | None:
    """How a magic may get at the config; `None` if it does not."""
    texts = _texts(call)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in ("run_line_magic", "run_cell_magic") and texts:
        magic, sign = texts[0], "%" if method == "run_line_magic" else "%%"
        if magic in _HARMLESS | _IDLE | _PAGES:
            return None
        if magic not in _TEXT:
            return f"runs the magic {sign}{magic}"
    elif method not in ("system", "getoutput") or len(texts) != len(call.args):
        return "uses IPython's shell"
    if any(sign in text for text in texts for sign in ("$", "{", "config")):
        return "hands something to a command"
    return None

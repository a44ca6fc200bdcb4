"""Cells tagged `shared`: which of them are executed once for all instances, and why others are not.

They stand at the top, above the parameters cell, and nothing stands between them: so they begin as the flow begins.
What their code plainly says of one instance is refused here; the rest is seen when they are executed.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ductaflow_runtime.flow.notebook import has_tag, is_own, own_code_cells, parameters_index, tags_of
from ductaflow_runtime.flow.syntax import literals
from ductaflow_runtime.parameters.magics import parse

if TYPE_CHECKING:
    from nbformat import NotebookNode

SHARED = "shared"
_CONFIG = "config"
_OF_ONE_INSTANCE = {
    "save_results": "calls save_results(), and no instance is there yet",
    "instance_path": "calls instance_path(), and no instance is there yet",
    "load_cli_config": "loads the config, which each instance has for itself",
    "load_cli_parameters": "loads the parameters, which each instance has for itself",
    "getpid": "asks for the process, which each instance has for itself",
    "atexit": "registers what is to be done at the end of an instance",
}
_GENERATORS = frozenset(("default_rng", "RandomState", "Random", "SeedSequence", "PCG64", "MT19937", "Philox"))
_EACH = "so each instance runs it itself"


def shared_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells at the top of a flow that are tagged `shared`, if the parameters cell is below."""
    end = parameters_index(notebook)
    found: list[NotebookNode] = []
    for cell in notebook.cells[: end or 0]:
        if cell.cell_type == "code" and is_own(cell):
            if not has_tag(cell, SHARED):
                break
            found.append(cell)
    return found


def digest_of(notebook: NotebookNode) -> str:
    """Tells the shared cells of a flow from those of another text; empty without any."""
    cells = [[cell["id"], cell.source, tags_of(cell)] for cell in shared_cells(notebook)]
    return hashlib.sha256(json.dumps(cells).encode("utf-8", "surrogatepass")).hexdigest()[:16] if cells else ""


def texts_of_shared(notebook: NotebookNode) -> list[str]:
    """The texts in the code of the shared cells that could be a path."""
    trees = [tree for cell in shared_cells(notebook) if (tree := parse(cell.source)) is not None]
    return sorted({text for tree in trees for text in literals(tree)})


def judge_shared(notebook: NotebookNode) -> tuple[str, tuple[str, ...]]:
    """The digest of the shared cells that are executed ahead, and a line for each that is not."""
    notes = tuple(_misplaced(notebook))
    refused = next(_refusals(notebook), None)
    if refused is not None:
        return "", (*notes, refused)
    return digest_of(notebook), notes


def _misplaced(notebook: NotebookNode) -> Iterator[str]:
    ahead = {cell["id"] for cell in shared_cells(notebook)}
    end = parameters_index(notebook)
    above = {cell["id"] for cell in notebook.cells[: end or 0]}
    ordinary = None
    for number, cell in own_code_cells(notebook):
        if not has_tag(cell, SHARED):
            ordinary = ordinary or number
        elif cell["id"] not in above:
            yield f"cell {number} is tagged `{SHARED}`, but is not above the parameters cell, {_EACH}"
        elif cell["id"] not in ahead:
            yield f"cell {number} is tagged `{SHARED}`, but cell {ordinary} above it is not, {_EACH}"


def _refusals(notebook: NotebookNode) -> Iterator[str]:
    """Why the shared cells cannot be executed ahead."""
    end = parameters_index(notebook)
    ids = {cell["id"] for cell in shared_cells(notebook)}
    given = {_CONFIG, *_stored(parse(notebook.cells[end].source))} if ids and end is not None else set[str]()
    own: set[str] = set()
    for number, cell in own_code_cells(notebook):
        tree = parse(cell.source) if cell["id"] in ids else None
        own |= _stored(tree)
        for node in _at_top(tree) if tree is not None else ():
            reason = _reason_in(node, given - own)
            if reason:
                yield f"cell {number} is tagged `{SHARED}`, but {reason}; so each instance runs the shared cells itself"


def _reason_in(node: ast.AST, given: set[str]) -> str | None:
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in given:
        return f"reads `{node.id}`, which each instance is given further down"
    if isinstance(node, ast.Call) and _is_unseeded(node):
        return "makes a random generator without a seed, which each instance should have for itself"
    return _OF_ONE_INSTANCE.get(name) if isinstance(name, str) else None


def _at_top(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated as a cell runs; what is in functions may well be called by each instance."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _at_top(child)


def _is_unseeded(call: ast.Call) -> bool:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return called in _GENERATORS and all(isinstance(one, ast.Constant) and one.value is None for one in given)


def _stored(tree: ast.AST | None) -> set[str]:
    """The names that code assigns, in any way."""
    nodes = ast.walk(tree) if tree is not None else ()
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

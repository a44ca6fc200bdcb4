"""What a flow's cells say, read one by one: their digests, what they import and name, and which cannot be compiled."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.flow.code import FLOW, FlowCode
from ductaflow_runtime.flow.import_order import import_order
from ductaflow_runtime.flow.notebook import (
    PARAMETERS,
    first_parameters_cell,
    foreign_kernel,
    has_tag,
    is_own,
    language_of,
    place_of,
    tags_of,
)
from ductaflow_runtime.flow.shared import judge_shared
from ductaflow_runtime.flow.syntax import (
    default_config_in,
    finds_modules_itself,
    imported_names,
    literals,
    parse,
    syntax_error,
    unguarded_imports,
)
from ductaflow_runtime.parameters.keys import CodeCell, analyse_keys
from ductaflow_runtime.parameters.languages import PYTHON, assigned_in, texts_in, without_comments, words_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

_IGNORED = frozenset({"raises-exception", "skip-execution"})
_MEANINGFUL_TAGS = (PARAMETERS, "raises-exception", "skip-execution")


def analyse_notebook(path: Path, notebook: NotebookNode, content: bytes = b"") -> FlowCode:
    """The analysis itself, on a notebook as `read_notebook` gives it of `content`."""
    language = language_of(notebook)
    if language != PYTHON:
        return _analyse_foreign(notebook, language)
    cells: list[str] = []
    parsed: list[ast.Module | None] = []
    broken: list[str] = []
    own: list[CodeCell] = []
    declaring = first_parameters_cell(notebook)
    text = content.decode("utf-8-sig")
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        tree = parse(cell.source)
        parsed.append(tree)
        if _IGNORED.isdisjoint(tags_of(cell)):
            broken += _broken(path, text, cell.source, tree, cell=len(cells) + 1)
        if is_own(cell):
            own.append(CodeCell(cell.source, tree, cell is declaring))
        meaning = cell.source.strip() if tree is None else ast.unparse(tree)
        cells.append(_cell_digest(cell, meaning))
    trees = [tree for tree in parsed if tree is not None]
    shared, shared_notes = judge_shared(notebook)
    default = next((found for tree in trees if (found := default_config_in(tree)) is not None), None)
    return FlowCode(
        cells=tuple(cells),
        text=_text_digest(notebook),
        imports=tuple(sorted({name for tree in trees for name in imported_names(tree)})),
        literals=tuple(sorted({text for tree in trees for text in literals(tree)} - {default or ""})),
        default_config=default,
        kernel=foreign_kernel(notebook),
        order=tuple(import_order(parsed)),
        broken=tuple(broken),
        shared=shared,
        shared_notes=shared_notes,
        required=None if finds_modules_itself(trees) else tuple(_required(trees)),
        keys=analyse_keys(own, default, has_cell=declaring is not None),  # last, for it changes the trees
    )


def _broken(path: Path, text: str, source: str, tree: ast.Module | None, *, cell: int) -> Iterator[str]:
    error = syntax_error(source, tree)
    if error is not None:
        blank = len(source) - len(source.lstrip())
        line = (error.lineno or 1) - source[:blank].count("\n")
        place = place_of(f"{FLOW}{path.suffix}", text, source, cell=cell, line=line)
        yield f"{place.replace(f'{FLOW}{path.suffix}', FLOW, 1)}: {type(error).__name__}: {error.msg}"


def _required(trees: list[ast.Module]) -> Iterator[str]:
    yield from dict.fromkeys(name for tree in trees for name in unguarded_imports(tree))


def _analyse_foreign(notebook: NotebookNode, language: str) -> FlowCode:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    declaring = first_parameters_cell(notebook)
    meanings = [without_comments(cell.source, language) for cell in cells]
    parameters = next((text for cell, text in zip(cells, meanings, strict=True) if has_tag(cell, PARAMETERS)), "")
    return FlowCode(
        cells=tuple(_cell_digest(cell, text) for cell, text in zip(cells, meanings, strict=True)),
        text=_text_digest(notebook),
        imports=(),
        literals=tuple(sorted({text for code in meanings for text in texts_in(code, language)})),
        default_config=None,
        kernel=foreign_kernel(notebook),
        keys=analyse_keys([CodeCell(cell.source, None, cell is declaring) for cell in cells], has_cell=bool(declaring)),
        language=language,
        assigned=tuple(dict.fromkeys(assigned_in(parameters, language))),
        words=tuple(sorted({word for code in meanings for word in words_in(code, language)})),
    )


def _cell_digest(cell: NotebookNode, meaning: str) -> str:
    """What counts of a code cell, whose text without what does not is `meaning`."""
    if cell.source.rstrip().endswith(";"):
        meaning += "\n;"  # it hides the cell's last value
    return _short_hash(json.dumps([meaning, [tag for tag in _MEANINGFUL_TAGS if has_tag(cell, tag)]]))


def _text_digest(notebook: NotebookNode) -> str:
    return _short_hash(json.dumps([[cell.cell_type, cell.source, tags_of(cell)] for cell in notebook.cells]))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

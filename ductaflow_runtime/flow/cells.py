"""What a flow's cells say, read one by one: their digests, what they import and name, and which cannot be compiled."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.flow.code import FLOW, FlowCode
from ductaflow_runtime.flow.import_order import MAYBE, SETS, import_order
from ductaflow_runtime.flow.import_steps import import_steps
from ductaflow_runtime.flow.notebook import (
    PARAMETERS,
    code_above_mark,
    code_cells,
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
    is_given_arguments,
    literals,
    may_be_magic,
    syntax_error,
)
from ductaflow_runtime.parameters.keys import CodeCell, analyse_keys
from ductaflow_runtime.parameters.languages import PYTHON, assigned_in, texts_in, without_comments, words_in
from ductaflow_runtime.parameters.magics import open_magics, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbformat import NotebookNode

_IGNORED = frozenset({"raises-exception", "skip-execution"})
_MEANINGFUL_TAGS = (PARAMETERS, "raises-exception", "skip-execution")
_ABOVE_PARAMETERS = "parameters below"
_OF_IPYTHON = re.compile(r"get_ipython|IPython|load_ext|%run\b")
_TOO_DEEP = (
    "flow {path} has an expression that is nested too deep to be read, such as a sum of a thousand terms: write it in "
    "several statements, or as sum([...])"
)


def analyse_notebook(path: Path, notebook: NotebookNode, content: bytes = b"") -> FlowCode:
    """The analysis itself, on a notebook as `read_notebook` gives it of `content`; raises `FlowFileError`."""
    language = language_of(notebook)
    if language != PYTHON:
        return _analyse_foreign(notebook, language)
    try:
        return _analyse_python(path, notebook, content)
    except RecursionError:
        raise FlowFileError(_TOO_DEEP.format(path=path)) from None


def _analyse_python(path: Path, notebook: NotebookNode, content: bytes) -> FlowCode:
    cells: list[str] = []
    parsed: list[ast.Module | None] = []
    broken: list[str] = []
    own: list[CodeCell] = []
    declaring, above = first_parameters_cell(notebook), code_above_mark(notebook)
    text = content.decode("utf-8-sig")
    for cell in code_cells(notebook):
        tree = parse(cell.source)
        parsed.append(tree)
        runs = _IGNORED.isdisjoint(tags_of(cell))
        if runs:
            broken += _broken(path, text, cell.source, tree, cell=len(cells) + 1)
        if is_own(cell):
            own.append(CodeCell(cell.source, tree, cell is declaring, runs))
        meaning = cell.source.strip() if tree is None else ast.unparse(tree)
        cells.append(_cell_digest(cell, meaning, above))
    written = [tree for tree in parsed if tree is not None]
    trees = [open_magics(tree) for tree in written]
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
        broken=() if _may_change_syntax(notebook) else tuple(broken),
        shared=shared,
        shared_notes=shared_notes,
        is_script=any(map(is_given_arguments, trees)),
        # An error within a magic may go no further, so what is imported there is not required.
        required=None if finds_modules_itself(trees) else tuple(dict.fromkeys(_required(notebook, parsed))),
        keys=analyse_keys(own, default, has_cell=declaring is not None, place=sum(map(is_own, above))),
    )


def _may_change_syntax(notebook: NotebookNode) -> bool:
    """Whether the flow speaks of IPython itself, which it could teach to take what is no Python."""
    return any(_OF_IPYTHON.search(cell.source) for cell in code_cells(notebook))


def _broken(path: Path, text: str, source: str, tree: ast.Module | None, *, cell: int) -> Iterator[str]:
    error = syntax_error(source, tree)
    if error is not None and not (tree is None and may_be_magic(source)):
        blank = len(source) - len(source.lstrip())
        line = (error.lineno or 1) - source[:blank].count("\n")
        place = place_of(f"{FLOW}{path.suffix}", text, source, cell=cell, line=line)
        yield f"{place.replace(f'{FLOW}{path.suffix}', FLOW, 1)}: {type(error).__name__}: {error.msg}"


def _required(notebook: NotebookNode, parsed: Sequence[ast.Module | None]) -> Iterator[str]:
    """The steps of all cells as one; a cell that is meant to raise may do so before it imports anything."""
    for cell, tree in zip(code_cells(notebook), parsed, strict=True):
        if has_tag(cell, "skip-execution"):
            continue
        for step in [SETS] if tree is None else import_steps(tree):
            if step == SETS:
                return
            yield MAYBE + step.removeprefix(MAYBE) if has_tag(cell, "raises-exception") else step


def _analyse_foreign(notebook: NotebookNode, language: str) -> FlowCode:
    cells, above = code_cells(notebook), code_above_mark(notebook)
    declaring = first_parameters_cell(notebook)
    meanings = [without_comments(cell.source, language) for cell in cells]
    parameters = next((text for cell, text in zip(cells, meanings, strict=True) if has_tag(cell, PARAMETERS)), "")
    return FlowCode(
        cells=tuple(_cell_digest(cell, text, above) for cell, text in zip(cells, meanings, strict=True)),
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


def _cell_digest(cell: NotebookNode, meaning: str, above: Sequence[NotebookNode]) -> str:
    """What counts of a code cell, whose text without what does not is `meaning`.

    `above` are the code cells above a text cell below which parameters are put in: the last of them has its place.
    """
    if cell.source.rstrip().endswith(";"):
        meaning += "\n;"  # it hides the cell's last value
    tags = [tag for tag in _MEANINGFUL_TAGS if has_tag(cell, tag)]
    if above and cell is above[-1]:
        tags.append(_ABOVE_PARAMETERS)
    return _short_hash(json.dumps([meaning, tags]))


def _text_digest(notebook: NotebookNode) -> str:
    return _short_hash(json.dumps([[cell.cell_type, cell.source, tags_of(cell)] for cell in notebook.cells]))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

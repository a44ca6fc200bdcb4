"""A flow as a notebook, and a notebook as it was executed.

The one place that knows which cells are the flow's own: an executed notebook also holds a line of ours at its top, the
parameters that papermill injects, and a mark where it failed. Cells are counted from 1 among the flow's own code cells.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.flow.parse_notebook import parse_notebook
from ductaflow_runtime.parameters.languages import PYTHON, same_language

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS = "parameters"
INJECTED = "injected-parameters"
OURS = "ductaflow"
_ADDED = frozenset((OURS, INJECTED, "papermill-error-cell-tag"))
_MARKER = re.compile(r"^\s*#\s*%%")
_TAGGED = re.compile(rf"""tags["']?\s*[=:]\s*\[[^\]]*["']{PARAMETERS}["']""")


def read_bytes(path: Path) -> bytes:
    """The flow's text; raises `FlowFileError` that names the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlowFileError(f"flow {path} cannot be read: {error.strerror or error}") from None


def read_notebook(path: Path, content: bytes) -> NotebookNode:
    """The flow as a notebook (nbformat 4) without outputs; raises `FlowFileError`."""
    import nbformat

    key = (path, content)
    if key not in _parsed:
        _parsed.clear()  # one flow at a time: a sweep is of one
        _parsed[key] = json.dumps(_read_notebook(path, content))
    return cast("NotebookNode", nbformat.from_dict(json.loads(_parsed[key])))


# What a worker has parsed already; its children start with it.
_parsed: dict[tuple[Path, bytes], str] = {}


def _read_notebook(path: Path, content: bytes) -> NotebookNode:
    notebook = parse_notebook(path, content)
    for number, cell in enumerate(notebook.cells):
        # Stable ids: the same flow gives the same notebook, so that stored notebooks can be compared.
        cell["id"] = hashlib.sha256(f"{number}:{cell.cell_type}".encode()).hexdigest()[:8]
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def read_executed(path: Path) -> NotebookNode:
    """An executed notebook as it is stored."""
    import nbformat

    return cast("NotebookNode", nbformat.read(path, as_version=4))


def save_notebook(notebook: NotebookNode, path: Path, *, durably: bool = False) -> None:
    """Write an executed notebook; `durably`, so that a power cut leaves the old one or the new one."""
    from nbformat.v4 import nbjson

    write_atomically(path, nbjson.writes(notebook) + "\n", durably=durably)


def tags_of(cell: Mapping[str, Any]) -> list[str]:
    """The tags of a cell."""
    return (cell.get("metadata") or {}).get("tags") or []


def has_tag(cell: Mapping[str, Any], tag: str) -> bool:
    """Whether a cell carries a tag."""
    return tag in tags_of(cell)


def first_parameters_cell(notebook: NotebookNode) -> NotebookNode | None:
    """The cell after which parameters are injected, of whatever type; `None` if none is marked."""
    return next((cell for cell in notebook.cells if has_tag(cell, PARAMETERS)), None)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, whoever put them there."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_above_mark(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells above the text cell that is marked as that of the parameters; none if a code cell is."""
    marked = first_parameters_cell(notebook)
    if marked is None or marked.cell_type == "code":
        return []
    above = itertools.takewhile(lambda cell: cell is not marked, notebook.cells)
    return [cell for cell in above if cell.cell_type == "code"]


def parameters_index(notebook: NotebookNode) -> int | None:
    """The place of that cell among all cells."""
    return next((index for index, cell in enumerate(notebook.cells) if has_tag(cell, PARAMETERS)), None)


def is_own(cell: Mapping[str, Any]) -> bool:
    """Whether a cell of an executed notebook is the flow's, and was not put there by the runtime or by papermill."""
    return _ADDED.isdisjoint(tags_of(cell))


def own_code_cells(notebook: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """The flow's own code cells with their numbers; of a notebook, or of its plain JSON."""
    return enumerate((cell for cell in notebook["cells"] if cell["cell_type"] == "code" and is_own(cell)), 1)


def number_cells(notebook: NotebookNode) -> dict[str, int]:
    """Cell id -> its number among the flow's own code cells, of a flow that is still to be executed."""
    return {cell["id"]: number for number, cell in own_code_cells(notebook)}


def cell_at_end(notebook: Mapping[str, Any]) -> int | None:
    """The number of the cell that was executing when the notebook was left as it is."""
    for number, cell in own_code_cells(notebook):
        if cell["metadata"].get("papermill", {}).get("status") == "running":
            return number
    return None


def cell_at_line(text: str, line: int) -> int | None:
    """The number of the code cell that a line, counted from 1, of a percent-format text belongs to."""
    numbers = _cells_of_lines(text)[:line]
    return (numbers[-1] or None) if numbers else None


def parameters_lines(text: str, quoted: Container[int]) -> range | None:
    """The lines, counted from 1, of the cell of a percent-format text after which parameters are injected.

    `quoted` are the lines that begin inside a text of several lines; `None` if no cell is marked.
    """
    lines = text.split("\n")
    marked = [n for n, line in enumerate(lines, 1) if n not in quoted and _MARKER.match(line)]
    for start, stop in itertools.pairwise([*marked, len(lines) + 1]):
        if _TAGGED.search(lines[start - 1]):
            return range(start, stop)
    return None


def _cells_of_lines(text: str) -> list[int]:
    """For each line the number of the last code cell that has begun, split where jupytext splits them."""
    from jupytext.cell_reader import DoublePercentScriptCellReader
    from jupytext.header import header_to_metadata_and_cell

    lines = text.splitlines()
    *_, position = header_to_metadata_and_cell(lines, "#", "", ".py")
    found, number = [0] * position, 0
    while position < len(lines):
        cell, size = DoublePercentScriptCellReader({"extension": ".py"}, "python").read(lines[position:])
        number += cell.cell_type == "code"
        found += [number] * size
        position += size
    return found


def place_of(flow: str, text: str, source: str, *, cell: int, line: int) -> str:
    """File, line and the line's text, for `line` of the `source` of a code cell with the number `cell`.

    Lines count from 1, at the first one that is not blank, as IPython counts them.
    """
    lines = list(itertools.dropwhile(lambda each: not each.strip(), source.splitlines()))
    code = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    found = None if flow.endswith(".ipynb") else _line_in_file(text, code, cell, line)
    where = f"{flow}, cell {cell}, line {line}" if found is None else f"{flow}:{found}"
    return f"{where}: {code}" if code else where


def _line_in_file(text: str, code: str, cell: int, line: int) -> int | None:
    """Where a cell's line is in a percent-format file; `None` if that line does not read so there (a magic)."""
    lines = text.splitlines()
    numbers = [number for number, found in enumerate(_cells_of_lines(text), 1) if found == cell]
    if numbers and _MARKER.match(lines[numbers[0] - 1]):
        numbers = numbers[1:]
    while numbers and not lines[numbers[0] - 1].strip():
        numbers = numbers[1:]
    if len(numbers) < line or lines[numbers[line - 1] - 1].strip() != code:
        return None
    return numbers[line - 1]


def refreshed(stored: NotebookNode, flow: NotebookNode) -> NotebookNode:
    """The flow's present cells with the stored outputs; code cells correspond one to one, in order."""
    codes = [cell for _, cell in own_code_cells(stored)]
    flow_cells = [cell for cell in flow.cells if not has_tag(cell, INJECTED)]  # a stored notebook may be a flow
    expected = sum(cell.cell_type == "code" for cell in flow_cells)
    if len(codes) != expected:
        raise FlowFileError(f"it has {len(codes)} code cells where the flow has {expected}")
    cells = [cell for cell in stored.cells[:1] if has_tag(cell, OURS)]
    injected = [cell for cell in stored.cells if has_tag(cell, INJECTED)]
    after = first_parameters_cell(flow)
    if after is None:
        cells += injected
    for cell in flow_cells:
        if cell.cell_type == "code":
            old = codes.pop(0)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
            cell.metadata = {**{k: v for k, v in old.metadata.items() if k != "tags"}, **cell.metadata}
        cells.append(cell)
        if cell is after:
            cells += injected
    merged = copy.copy(stored)
    merged["cells"] = cells
    return merged


def language_of(notebook: NotebookNode) -> str:
    """The language of a flow's code cells, as `same_language` calls it."""
    metadata = notebook.metadata
    kernelspec = metadata.get("kernelspec", {})
    jupytext_language = metadata.get("jupytext", {}).get("main_language")
    language = kernelspec.get("language") or metadata.get("language_info", {}).get("name") or jupytext_language
    return same_language(str(language or PYTHON))


def foreign_kernel(notebook: NotebookNode) -> str | None:
    """The Jupyter kernel that a flow names, `None` for this Python, and where it names none."""
    name = notebook.metadata.get("kernelspec", {}).get("name")
    if name is None or (language_of(notebook) == PYTHON and name in ("python", "python3")):
        return None
    return str(name)

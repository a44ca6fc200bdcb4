"""What a flow's code says: its cells, their digests, and what they import and name.

Cached by the flow's content, because planning should not pay for reading a notebook.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.files import write_atomically
from ductaflow_runtime.import_order import import_order
from ductaflow_runtime.notebook import (
    PARAMETERS,
    first_parameters_cell,
    foreign_kernel,
    has_tag,
    is_own,
    language_of,
    read_bytes,
    read_notebook,
    tags_of,
)
from ductaflow_runtime.parameters.cell import CONFIG
from ductaflow_runtime.parameters.keys import CodeCell, FlowKeys, analyse_keys, from_json
from ductaflow_runtime.parameters.languages import PYTHON, assigned_in, texts_in, without_comments, words_in
from ductaflow_runtime.parameters.scopes import LOADER, called_name
from ductaflow_runtime.project import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

ANALYSIS_VERSION = f"3-{sys.version_info[0]}.{sys.version_info[1]}"
_MEANINGFUL_TAGS = (PARAMETERS, "raises-exception", "skip-execution")
_LONGEST_PATH = 1024


@dataclass(frozen=True)
class FlowCode:
    """What a flow's text says, as far as staleness, preloading and its parameters need it.

    `order` is its imports as `import_order` gives them.
    `kernel` is the one that it names, if that is not this Python. Of a flow in another language are also known the
    names that its parameters cell may assign, and all `words` of its code.
    """

    cells: tuple[str, ...]
    text: str
    imports: tuple[str, ...]
    literals: tuple[str, ...]
    default_config: str | None
    kernel: str | None
    keys: FlowKeys
    language: str = PYTHON
    assigned: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


def find_flow(notebook_file: str | os.PathLike[str], root: Path) -> Path:
    """The flow's absolute path: under the working directory, else under the project root."""
    places = places_of(notebook_file, root)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FlowFileError(f"flow not found: {' or '.join(map(str, places))}")
    return found


def analyse(path: Path, cache: Path | None = None, *, keep: bool = True) -> FlowCode:
    """What the flow's text says; `cache` is a folder of answers that can be deleted at any time.

    Without `keep` a new answer is not written there: nothing is made for a call that may yet be refused.
    """
    content = read_bytes(path)
    key = hashlib.sha256(content + ANALYSIS_VERSION.encode() + path.suffix.encode()).hexdigest()[:24]
    stored = cache / f"{key}.json" if cache else None
    if key not in _known:
        code = _stored_answer(stored) if stored else None
        _known.clear()  # one flow at a time: a sweep is of one
        _known[key] = code or analyse_notebook(path, read_notebook(path, content))
    if keep and stored is not None and not stored.exists():
        _store_answer(stored, _known[key])
    return _known[key]


# A call asks several times, and a loop of calls for each row.
_known: dict[str, FlowCode] = {}


def _stored_answer(stored: Path) -> FlowCode | None:
    try:
        known: dict[str, Any] = json.loads(stored.read_bytes())
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return FlowCode(**{**known, **lists, "keys": from_json(known["keys"])})
    except OSError:
        return None
    except (ValueError, TypeError, KeyError):
        with contextlib.suppress(OSError):
            stored.unlink()  # it is damaged, and gets written anew
        return None


def _store_answer(stored: Path, code: FlowCode) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written (a read-only share) only costs time
        stored.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(stored, json.dumps(asdict(code)))


def analyse_notebook(path: Path, notebook: NotebookNode) -> FlowCode:
    """The analysis itself, on a notebook as `read_notebook` gives it."""
    language = language_of(notebook)
    if language != PYTHON:
        return _analyse_foreign(notebook, language)
    cells: list[str] = []
    parsed: list[ast.Module | None] = []
    own: list[CodeCell] = []
    declaring = first_parameters_cell(notebook)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        tree = parse(cell.source)
        parsed.append(tree)
        if is_own(cell):
            own.append(CodeCell(cell.source, tree, cell is declaring))
        meaning = cell.source.strip() if tree is None else ast.unparse(tree)
        cells.append(_cell_digest(cell, meaning))
    trees = [tree for tree in parsed if tree is not None]
    default = next((found for tree in trees if (found := default_config_in(tree)) is not None), None)
    return FlowCode(
        cells=tuple(cells),
        text=_text_digest(notebook),
        imports=tuple(sorted({name for tree in trees for name in imported_names(tree)})),
        literals=tuple(sorted({text for tree in trees for text in _literals(tree)} - {default or ""})),
        default_config=default,
        kernel=foreign_kernel(notebook),
        order=tuple(import_order(parsed)),
        keys=analyse_keys(own, default, has_cell=declaring is not None),  # last, for it changes the trees
    )


def loads_config_in_vain(path: Path) -> bool:
    """Whether a flow of variables loads, as a script, a `config` that nothing in it reads."""
    try:
        cells = _code_cells(path)
    except FlowFileError:
        return False  # no flow: a script, which does what it likes with its config
    keys = analyse_keys(cells)
    loads = any(_loads_config(node) for cell in cells if cell.tree is not None for node in ast.walk(cell.tree))
    return loads and bool(keys.parameters) and not keys.takes_config


def _code_cells(path: Path) -> list[CodeCell]:
    cells = [cell for cell in read_notebook(path, read_bytes(path)).cells if cell.cell_type == "code"]
    return [CodeCell(cell.source, parse(cell.source), has_tag(cell, PARAMETERS)) for cell in cells]


def _loads_config(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return False
    targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return targets == [CONFIG] and called_name(node.value).rpartition(".")[2] == LOADER


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


def imported_names(tree: ast.AST) -> Iterator[str]:
    """The full names that `import` statements anywhere in a tree ask for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _literals(tree: ast.AST) -> Iterator[str]:
    inside_f_strings = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in inside_f_strings:
            continue
        text = node.value
        if 0 < len(text) <= _LONGEST_PATH and "\n" not in text and "\0" not in text:
            yield text


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


def changed_cells(old: list[str], new: list[str]) -> list[str]:
    """Which code cells differ, counted from 1 in the flow as it is now."""
    found: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        changed = min(i2 - i1, j2 - j1)
        found += [f"cell {j + 1}" for j in range(j1, j1 + changed)]
        found += [f"cell {j + 1} added" for j in range(j1 + changed, j2)]
        found += [f"cell {i + 1} removed" for i in range(i1 + changed, i2)]
    return found


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

"""What a flow's file says: found, read and analysed, or taken from the cache.

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
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import FlowFileError, ProjectError
from ductaflow_runtime.files import read_json, write_atomically
from ductaflow_runtime.flow.cells import analyse_notebook
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.notebook import PARAMETERS, has_tag, read_bytes, read_notebook
from ductaflow_runtime.parameters.cell import CONFIG
from ductaflow_runtime.parameters.keys import CodeCell, analyse_keys, from_json
from ductaflow_runtime.parameters.magics import parse
from ductaflow_runtime.parameters.scopes import LOADER, called_name
from ductaflow_runtime.project import path_text, places_of

ANALYSIS_VERSION = f"8-{sys.version_info[0]}.{sys.version_info[1]}"


def find_flow(notebook_file: str | os.PathLike[str], root: Path) -> Path:
    """The flow's absolute path: under the working directory, else under the project root."""
    try:
        places = places_of(path_text(notebook_file, "the flow"), root)
    except ProjectError as error:
        raise FlowFileError(str(error)) from None
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    folder = next((place for place in places if place.is_dir()), None)
    if folder is not None:
        raise FlowFileError(f"{folder} is a folder; a flow is one file, such as {folder.name}/my_analysis.py")
    near = difflib.get_close_matches(places[0].name, _names_beside(places))
    advice = f"; did you mean {' or '.join(near)}?" if near else ""
    raise FlowFileError(f"flow not found: {' or '.join(map(str, places))}{advice}")


def _names_beside(places: Sequence[Path]) -> list[str]:
    """The files in the folders in which a flow was looked for."""
    found: dict[str, None] = {}
    for place in places:
        with contextlib.suppress(OSError):
            found.update((each.name, None) for each in os.scandir(place.parent) if each.is_file())
    return sorted(found)


def analyse(path: Path, cache: Path | None = None, text: bytes | None = None, *, keep: bool = True) -> FlowCode:
    """What the flow's file says, or `text` in its place; the folder `cache` can be deleted at any time.

    Without `keep` a new answer is not written there: nothing is made for a call that may yet be refused.
    """
    content = read_bytes(path) if text is None else text
    key = hashlib.sha256(content + ANALYSIS_VERSION.encode() + path.suffix.encode()).hexdigest()[:24]
    stored = cache / f"{key}.json" if cache else None
    if key not in _known:
        code = _stored_answer(stored) if stored else None
        _known.clear()  # one flow at a time: a sweep is of one
        _known[key] = code or analyse_notebook(path, read_notebook(path, content), content)
    if keep and stored is not None and not os.path.exists(stored):
        _store_answer(stored, _known[key])
    return _known[key]


# A call asks several times, and a loop of calls for each row.
_known: dict[str, FlowCode] = {}


def _stored_answer(stored: Path) -> FlowCode | None:
    try:
        known: dict[str, Any] = read_json(stored)
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

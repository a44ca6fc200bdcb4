"""What a module of the project says: its syntax tree, in which comments and layout are not, and what it imports.

Kept by the module's content, because each execution asks, and each plan after an edit.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import FileState, read_json, write_atomically
from ductaflow_runtime.flow.syntax import imported_names

# Versions of Python write the same tree differently; then the text decides.
_VERSION = f"1-{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class ModuleCode:
    """A module's text, told by its hash, its syntax tree (`None` if it has none) and the full names that it imports."""

    sha256: str
    tree: str | None
    imports: tuple[str, ...]


def read_module(path: str, cache: Path | None, *, keep: bool = True) -> ModuleCode | None:
    """What the text in a file of Python says; `None` if it cannot be read, or is compiled.

    Without `keep` a new answer is not written into the folder `cache`.
    """
    if not path.endswith(".py"):
        return None
    try:
        text = Path(path).read_bytes()
    except OSError:
        return None
    sha256 = hashlib.sha256(text).hexdigest()
    stored = None if cache is None else cache / f"module-{_VERSION}-{sha256[:32]}"
    code = None if stored is None else _stored_answer(stored, sha256)
    if code is None:
        code = _analyse(text, sha256)
        if stored is not None and keep:
            _store_answer(stored, code)
    return code


def with_tree(told: FileState, path: str, cache: Path | None, texts: Mapping[str, bytes]) -> FileState:
    """What a record says of a module, so that only its syntax tree counts; as it is if nobody has that text any more.

    `texts` are those that this process has compiled, by their sha256: the file may have been edited since.
    """
    code, sha256 = read_module(path, cache), told.get("sha256", "")
    if (code is None or code.sha256 != sha256) and sha256 in texts:
        code = _analyse(texts[sha256], sha256)
    if code is None or code.tree is None or code.sha256 != sha256:
        return told
    return {**told, "tree": code.tree}


def _analyse(text: bytes, sha256: str) -> ModuleCode:
    try:
        tree = ast.parse(text)
        meaning = ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ModuleCode(sha256, None, ())
    digest = hashlib.sha256(f"{_VERSION} {meaning}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return ModuleCode(sha256, digest, tuple(sorted(set(imported_names(tree)))))


def _stored_answer(stored: Path, sha256: str) -> ModuleCode | None:
    try:
        known: dict[str, Any] = read_json(stored)
        if known["sha256"] != sha256:
            return None
        return ModuleCode(sha256, known["tree"], tuple(known["imports"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or damaged: it gets written anew


def _store_answer(stored: Path, code: ModuleCode) -> None:
    told = {"sha256": code.sha256, "tree": code.tree, "imports": code.imports}
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        stored.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(stored, json.dumps(told))

"""Code of the project is compiled from its text: a compiled file tells its text by size and whole seconds only.

So in a process that executes a flow, no compiled file of a project's module is read, and none is written. What had been
imported before the process was known to execute a flow (a script up to its CLI cell, a Jupyter kernel) is compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.staleness.imports import local_modules

_HEADER = 16
_UNCHECKED = 1  # by hash, but nobody looks
_UNKNOWN = ("unknown", 0)


def compile_from_source(applies: Callable[[str], bool]) -> None:
    """From now on this process compiles the files of code for which `applies` says so."""
    told = SourceFileLoader.path_stats

    def path_stats(self: SourceFileLoader, path: Any) -> Any:
        if applies(os.path.abspath(os.fspath(path))):
            raise OSError("no compiled file is trusted")  # the import system then reads the text, and keeps nothing
        return told(self, path)

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]


def text_state(text: bytes) -> tuple[str, int]:
    """What tells one text from another: sha256 and size."""
    return hashlib.sha256(text).hexdigest(), len(text)


def compiled_of_imported(root: str) -> dict[str, set[tuple[str, int]]]:
    """The state of the text behind each project module that this process has imported; two of them if it changed.

    A module that was compiled without leaving a compiled file is left out: nobody can tell.
    """
    found: dict[str, set[tuple[str, int]]] = {}
    for path, compiled in _compiled_files(root).items():
        with contextlib.suppress(OSError):
            text = _read(path)
            found[path] = {text_state(text), *(() if _is_code_of(compiled, path, text) else (_UNKNOWN,))}
    return found


def refuse_stale_bytecode(root: str) -> None:
    """Raise `FlowFileError` if this process has imported a module from a compiled file that is not its text's."""
    for path, compiled in _compiled_files(root).items():
        with contextlib.suppress(OSError):
            if _is_trusted(compiled, path) and not _is_code_of(compiled, path, _read(path)):
                raise FlowFileError(
                    f"Python took {path} from a compiled file of an earlier text, which had the same size and time; "
                    f"delete {compiled} and start again"
                )


def _compiled_files(root: str) -> dict[str, str]:
    """The compiled file of each project module that this process has imported: absolute path -> path."""
    found: dict[str, str] = {}
    for path, name in local_modules(root).items():
        spec = getattr(sys.modules.get(name), "__spec__", None)
        compiled = getattr(spec, "cached", None)
        if type(getattr(spec, "loader", None)) is SourceFileLoader and compiled and os.path.isfile(compiled):
            found[path] = compiled
    return found


def _is_trusted(compiled: str, path: str) -> bool:
    """Whether the import system takes a compiled file for this text's without reading the text."""
    header, stat = _read(compiled)[:_HEADER], os.stat(path)
    kind, *told = (int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12))
    if kind:
        return kind == _UNCHECKED
    return told == [int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF]


def _is_code_of(compiled: str, path: str, text: bytes) -> bool:
    try:
        stored = marshal.loads(_read(compiled)[_HEADER:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fresh: CodeType = compile(text, path, "exec", dont_inherit=True)
    except (ValueError, EOFError, TypeError, SyntaxError):
        return False
    return bool(stored == fresh)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()

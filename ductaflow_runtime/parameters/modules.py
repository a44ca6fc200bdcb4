"""The project's own modules that a flow imports, found without importing anything, and the names in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ductaflow_runtime.parameters.names import hidden_way, imports_in, names_in

_EVERYTHING = ".*"
_MOST = 1000


@dataclass(frozen=True)
class ModuleNames:
    """All names and texts in some modules, and how they may get at a flow's config unasked (`None`: not at all)."""

    names: frozenset[str] = frozenset()
    hidden: str | None = None


@dataclass(frozen=True)
class _Module:
    """What one module's text says."""

    names: frozenset[str]
    hidden: str | None
    imports: tuple[str, ...]


def names_in_modules(imports: Iterable[str], folders: Sequence[Path]) -> ModuleNames:
    """The names in the modules under `folders` (the flow's, the project's) that are imported, one by the other too."""
    todo = [found for name in imports for found in _files_of(name, folders)]
    ways = [_star(name, folders) for name in imports]
    seen: set[Path] = set()
    names: set[str] = set()
    while todo:
        path, name = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        read = _read(path, package)
        if read is None or len(seen) > _MOST:
            ways.append(f"module {path.name} cannot be read" if read is None else "it imports very many modules")
            continue
        names |= read.names
        ways.append(read.hidden and f"module {path.name} {read.hidden}")
        todo += [found for module in read.imports for found in _files_of(module, folders)]
    return ModuleNames(frozenset(names), next((way for way in ways if way), None))


def _files_of(name: str, folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """The files that an import of a dotted name runs, its packages' and its own, each with its own dotted name."""
    parts = name.removesuffix(_EVERYTHING).split(".")
    for folder in folders:
        for length in range(1, len(parts) + 1):
            place = folder.joinpath(*parts[:length])
            files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
            yield from ((path, ".".join(parts[:length])) for path in files if path.is_file())


def _star(name: str, folders: Sequence[Path]) -> str | None:
    if name.endswith(_EVERYTHING) and any(_files_of(name, folders)):
        return f"it imports everything of {name.removesuffix(_EVERYTHING)}"
    return None


def _read(path: Path, package: str) -> _Module | None:
    try:
        return _analyse(path.read_bytes(), package)
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=_MOST)
def _analyse(content: bytes, package: str) -> _Module:
    # Remembered, for a loop over `run_notebook` asks the same for each row.
    tree = ast.parse(content)
    return _Module(frozenset(names_in(tree)), hidden_way(tree), tuple(imports_in(tree, package)))

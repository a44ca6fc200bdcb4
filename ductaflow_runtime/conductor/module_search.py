"""What a flow is certain to import, followed from module to module of the project; nothing is imported for it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path

from ductaflow_runtime.files import Names, relative_to_root
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.import_order import MAYBE, SETS
from ductaflow_runtime.flow.import_steps import import_steps
from ductaflow_runtime.flow.syntax import syntax_error

_MOST_MODULES = 1000


@dataclass(frozen=True)
class _Module:
    """A module or package of the project: the file that its import runs, and where its parts are.

    `is_open`: what its import does, and which parts there are, cannot be read from its text.
    """

    file: Path | None = None
    folders: tuple[Path, ...] = ()
    is_open: bool = False


class Search:
    """Goes through imports in the order in which they run, and ends where one may change what there is to import."""

    def __init__(self, flow_folder: Path, root: Path, code: FlowCode) -> None:
        self._folders = tuple(dict.fromkeys([flow_folder, root]))
        self._root = root
        self._code = code
        self._names = Names()
        self._seen: set[str] = set()
        self._has_ended = False

    def problems(self, flow: str) -> Iterator[str]:
        """One line for each module that is broken or missing."""
        yield from self._follow(self._code.required or (), flow)

    def _follow(self, steps: Sequence[str], importer: str) -> Iterator[str]:
        for step in steps:
            self._has_ended = self._has_ended or step == SETS or len(self._seen) > _MOST_MODULES
            if self._has_ended:
                return
            found = self._import(step.removeprefix(MAYBE), importer)
            if step.startswith(MAYBE):
                for _ in found:  # it need not be imported, so it need not be right
                    pass
            else:
                yield from found

    def _import(self, name: str, importer: str) -> Iterator[str]:
        """Follow one import, part by part of its dotted name."""
        folders, parts = self._folders, name.split(".")
        for number, part in enumerate(parts, 1):
            module = self._find(part, folders)
            is_whole = module is not None and (module.file is not None or module.is_open)
            if number == 1 and not is_whole and _is_installed(part, folders):
                return  # a folder without `__init__` yields to an installed package, into which nobody looks
            dotted = ".".join(parts[:number])
            if module is None:
                if dotted not in self._seen and not self._is_named(part):
                    yield (
                        f"{importer} imports {dotted}, which is neither installed nor in the project "
                        "(an import that may fail belongs into try, or into a function)"
                    )
                self._seen.add(dotted)
                return
            yield from self._run(module, dotted)
            if self._has_ended or not module.folders:
                return
            folders = module.folders

    def _find(self, name: str, folders: Sequence[Path]) -> _Module | None:
        """The module or package of that name, as Python finds it: folders without `__init__` are parts of one."""
        portions: list[Path] = []
        is_open = False
        for folder in folders:
            names = self._names.of(folder)
            package, beside = folder / name, {Path(each).suffix for each in names if each.startswith(f"{name}.")}
            inside = self._names.of(package) if name in names else frozenset()
            if "__init__.py" in inside and (package / "__init__.py").is_file():
                return _Module(package / "__init__.py", (package,), _makes_parts(package / "__init__.py"))
            if any(each.startswith("__init__.") for each in inside) or beside & {*all_suffixes()} - {".py"}:
                return _Module(is_open=True)
            if ".py" in beside and (folder / f"{name}.py").is_file():
                return _Module(folder / f"{name}.py")
            is_open = is_open or bool(beside)  # something that another importer may know
            portions += [package] if name in names and package.is_dir() else []
        return _Module(None, tuple(portions), is_open) if portions or is_open else None

    def _run(self, module: _Module, dotted: str) -> Iterator[str]:
        if module.file is not None and str(module.file) not in self._seen:
            self._seen.add(str(module.file))
            tree, problem = self._read(module.file)
            if problem:
                yield problem
            elif tree is None:
                self._has_ended = True
            else:
                package = dotted if module.folders else dotted.rpartition(".")[0]
                yield from self._follow(list(import_steps(tree, package)), relative_to_root(module.file, self._root))
        self._has_ended = self._has_ended or module.is_open

    def _read(self, path: Path) -> tuple[ast.Module | None, str | None]:
        try:
            text = path.read_bytes()
            tree = ast.parse(text)
            error = syntax_error("", tree)
        except SyntaxError as found:
            tree, error = None, found
        except (OSError, ValueError):
            return None, None
        if error is None:
            return tree, None
        lines = text.decode("utf-8", "replace").splitlines()
        line = error.lineno or 1
        code = f"{lines[line - 1].strip()}: " if 0 < line <= len(lines) else ""
        return None, f"{relative_to_root(path, self._root)}:{line}: {code}{type(error).__name__}: {error.msg}"

    def _is_named(self, name: str) -> bool:
        """Whether the flow speaks of a module by name: it may write it, or fetch it, before it imports it."""
        return any(name in text for text in self._code.literals)


def _makes_parts(init: Path) -> bool:
    """Whether a package's own code may provide modules that are no files of it."""
    try:
        return b"__path__" in init.read_bytes()
    except OSError:
        return True


def _is_installed(name: str, folders: Sequence[Path]) -> bool:
    """Whether there is such a module elsewhere than in `folders`, which this process may have on its path, too."""
    if name in sys.modules or name in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(name)
        if spec is None:
            importlib.invalidate_caches()  # it may just have been installed
            spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return True  # something is there
    if spec is None:
        return False
    places = {Path(place) for place in spec.submodule_search_locations or ()}
    return spec.origin is not None or not places <= {folder / name for folder in folders}

"""Which modules a worker may import before it forks, so that an instance finds what a fresh interpreter would give it.

Those that the flow imports for certain, in its order, up to the first place where it, or a module of the project that
it imports, sets something that an import may read.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

from ductaflow_runtime.files import Names
from ductaflow_runtime.flow.import_order import MAYBE, SETS, import_order

# Their import changes the terminal settings that every later child would see.
NEVER = frozenset(("readline", "rlcompleter", "curses", "pdb", "code", "antigravity", "this", "idlelib"))
_OWN = frozenset(("ductaflow", "ductaflow_runtime"))
# What every worker has imported for itself. Asked for by name as well, it would give flows that differ in nothing else
# base processes of their own. No packages with parts that are imported on their own.
EVERYWHERE = frozenset((
    "abc", "argparse", "ast", "base64", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "decimal", "enum", "functools", "getpass", "glob", "hashlib", "heapq", "inspect", "io", "itertools", "json",
    "locale", "math", "numbers", "operator", "os", "pathlib", "pickle", "platform", "queue", "random", "re",
    "select", "shlex", "shutil", "signal", "socket", "stat", "string", "struct", "subprocess", "sys",
    "tempfile", "textwrap", "threading", "time", "traceback", "types", "typing", "uuid", "warnings", "weakref",
))  # fmt: skip
_API = frozenset((
    "display_config_summary", "instance_path", "is_notebook_execution", "load_cli_config",
    "load_cli_parameters", "project_path", "save_results",
))  # fmt: skip


@dataclass(frozen=True)
class Ahead:
    """`names` as in `import_order`. `whole`: nothing is set anywhere, so what is imported on the way may be as well."""

    names: tuple[str, ...] = ()
    whole: bool = False


def imports_ahead(order: Iterable[str], folders: Iterable[Path]) -> Ahead:
    """What may be imported ahead of a flow; `folders` come first on its import path."""
    sources = Sources(tuple(folders))
    names: dict[str, None] = {}
    for step in order:
        if step == SETS or sources.set_something(step):
            return Ahead(tuple(names))
        if not step.startswith(MAYBE) and not sources.are_own(step) and is_installed(step):
            names |= dict.fromkeys(_wanted(step))
    return Ahead(tuple(names), whole=True)


def _wanted(step: str) -> tuple[str, ...]:
    """What of an import is not in every worker."""
    module, _, name = step.partition(":")
    if module in EVERYWHERE:
        return ()
    return (module,) if module == "ductaflow" and name in _API else (step,)


@dataclass
class Sources:
    """The project's own modules, as far as their text is there to be read."""

    folders: tuple[Path, ...]
    _seen: set[Path] = field(default_factory=set)
    _names: Names = field(default_factory=Names)

    def are_own(self, step: str) -> bool:
        """Whether an import gets a module of the project."""
        top = top_of(step)
        return any(
            (top in self._names.of(folder) and (folder / top / "__init__.py").is_file())
            or self._module_files(folder / top)
            for folder in self.folders
        )

    def set_something(self, step: str) -> bool:
        """Whether an import executes code that sets something, or code that nobody can read."""
        top = top_of(step)
        if self.are_own(step):
            return any(self._in_folder(folder, step) for folder in self.folders)
        if top in sys.stdlib_module_names or is_installed(step):
            return False
        spread = [folder for folder in self.folders if (folder / top).is_dir()]  # without an `__init__.py`
        elsewhere = None if spread else _elsewhere(top)
        places = spread or ([] if elsewhere is None else [elsewhere])
        return not places or any(self._in_folder(folder, step) for folder in places)

    def _in_folder(self, folder: Path, step: str) -> bool:
        path = folder
        for part in step.lstrip(MAYBE).replace(":", ".").split("."):
            path = path / part
            if any(self._in_file(file) for file in (*self._module_files(path), path / "__init__.py") if file.is_file()):
                return True
        return False

    def _module_files(self, path: Path) -> list[Path]:
        """The files that `import` may take for a module, a package left aside."""
        start = f"{path.name}."
        beside = (name for name in self._names.of(path.parent) if name.startswith(start))
        files = [path.with_name(name) for name in beside if name == f"{start}py" or name.endswith(".so")]
        return [file for file in files if file.is_file()]

    def _in_file(self, file: Path) -> bool:
        if file in self._seen:
            return False
        self._seen.add(file)
        for step in order_of(file):
            relative = step.lstrip(MAYBE)
            level = len(relative) - len(relative.lstrip("."))
            if level:
                found = self._in_folder(file.parents[level - 1], relative.lstrip(".").lstrip(":"))
            else:
                found = step == SETS or self.set_something(step)
            if found:
                return True
        return False


def order_of(file: Path) -> tuple[str, ...]:
    """The imports of a module's code as `import_order` gives them; code that cannot be read may set something."""
    try:
        state = file.stat()
    except OSError:
        return (SETS,)
    return _order_of(file, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1024)
def _order_of(file: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    try:
        with tokenize.open(file) as text:
            return tuple(import_order([ast.parse(text.read())]))
    except (OSError, SyntaxError, ValueError):
        return (SETS,)


def _elsewhere(top: str) -> Path | None:
    """The folder of a module that is on this process's import path, but not installed."""
    spec = _spec_of(top)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ()) or ([spec.origin] if spec.origin else [])
    return Path(places[0]).parent if places else None


def _spec_of(top: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None


def top_of(step: str) -> str:
    """The package that an import is of."""
    return step.lstrip(MAYBE).partition(":")[0].partition(".")[0]


def is_installed(name: str) -> bool:
    """Whether a module is of the standard library or of an installed package, and may be imported ahead."""
    top = top_of(name)
    if top in sys.stdlib_module_names:
        return top not in NEVER
    if top in _OWN:
        return True
    spec = _spec_of(top)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return any(_is_installed_in(place) for place in places)


def _is_installed_in(place: str) -> bool:
    return any(Path(folder) in Path(place).parents for folder in _installed_folders())


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    pure, with_code = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
    return (pure,) if os.path.realpath(pure) == os.path.realpath(with_code) else (pure, with_code)

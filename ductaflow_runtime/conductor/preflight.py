"""What is certain to fail is told before anything runs, once: a flow or module that is no Python, a missing module.

Only what nothing can make good: an import in a function, in `try` or behind `if` is left to the flow.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.flow.code import FLOW, FlowCode
from ductaflow_runtime.flow.syntax import finds_modules_itself, syntax_error, unguarded_imports

_MOST = 10
_MOST_MODULES = 1000


def check_before_running(call: Call) -> None:
    """Raise one `FlowFileError` for all that is certain to fail in every row."""
    code = call.code
    if code.kernel is not None or call.options.kernel_name is not None:
        return
    flow = call.project.relative(call.flow)
    problems = [text.replace(FLOW, flow, 1) for text in code.broken]
    if not call.options.elsewhere:
        problems += Search(call.flow.parent, call.project.root, code).problems(flow)
    if problems:
        more = [f"  and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
        lines = [f"  - {problem}" for problem in problems[:_MOST]]
        raise FlowFileError("\n".join([f"nothing was run, for {flow} would fail in every row:", *lines, *more]))


def tell_of_shared_cells(call: Call) -> None:
    """Say which cells are tagged `shared` and yet executed by each instance, and why."""
    notes = list(call.code.shared_notes)
    if call.code.shared and call.project.settings.copy_inputs:
        notes.append("copy_inputs puts files into the folder of each instance, which executes its shared cells itself")
    for note in notes:
        _tell_once(call.flow, f"ductaflow: {call.project.relative(call.flow)}: {note}")


@functools.cache
def _tell_once(_flow: Path, line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


class Search:
    """Follows what a flow imports in any case, from module to module of the project, importing nothing."""

    def __init__(self, flow_folder: Path, root: Path, code: FlowCode) -> None:
        self._folders = list(dict.fromkeys([flow_folder, root]))
        self._root = root
        self._code = code
        self._seen: set[str] = set()

    def problems(self, flow: str) -> Iterator[str]:
        """One line for each module that is broken or missing."""
        importlib.invalidate_caches()
        todo = [(name, flow) for name in self._code.required or ()]
        while todo:
            name, importer = todo.pop(0)
            if name in self._seen or len(self._seen) > _MOST_MODULES:
                continue
            self._seen.add(name)
            for path, dotted in self._files(name):
                tree, problem = self._read(path)
                if problem:
                    yield problem
                elif tree is not None and not finds_modules_itself([tree]):
                    package = dotted if path.name == "__init__.py" else dotted.rpartition(".")[0]
                    where = relative_to_root(path, self._root)
                    todo += [(found, where) for found in unguarded_imports(tree, package)]
            missing = self._missing(name)
            if missing and not self._is_named(missing):
                yield (
                    f"{importer} imports {missing}, which is neither installed nor in the project "
                    "(an import that may fail belongs into try, or into a function)"
                )

    def _files(self, name: str) -> Iterator[tuple[Path, str]]:
        """The project's files that an import of a dotted name runs, with their own dotted names."""
        parts = name.split(".")
        for folder in self._folders:
            if not _is_there(folder, parts[0]):
                continue
            for length in range(1, len(parts) + 1):
                place = folder.joinpath(*parts[:length])
                for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                    if path.is_file() and str(path) not in self._seen:
                        self._seen.add(str(path))
                        yield path, ".".join(parts[:length])
            return

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

    def _missing(self, name: str) -> str | None:
        """The part of a dotted name that is nowhere; what is inside installed packages is not looked into."""
        parts = name.split(".")
        for folder in self._folders:
            if _is_there(folder, parts[0]):
                return self._missing_inside(folder, parts)
        return None if _is_installed(parts[0]) else parts[0]

    def _missing_inside(self, folder: Path, parts: Sequence[str]) -> str | None:
        if not (folder / parts[0] / "__init__.py").is_file() and _is_installed(parts[0]):
            return None  # a folder without it yields to an installed package
        for length in range(2, len(parts) + 1):
            package = folder.joinpath(*parts[: length - 1])
            if not package.is_dir() or _is_dynamic(package):
                return None
            if not _is_there(package, parts[length - 1]):
                return ".".join(parts[:length])
        return None

    def _is_named(self, name: str) -> bool:
        """Whether the flow speaks of a module by name: it may write it, or fetch it, before it imports it."""
        last = name.rpartition(".")[2]
        return any(last in text for text in self._code.literals)


def _is_there(folder: Path, name: str) -> bool:
    """Whether a folder has a module or a package of that name, compiled ones and folders without `__init__` too."""
    return (folder / name).is_dir() or next(folder.glob(f"{name}.*"), None) is not None


def _is_dynamic(package: Path) -> bool:
    """Whether a package's own code may provide modules that are no files of it."""
    try:
        return b"__path__" in (package / "__init__.py").read_bytes()
    except OSError:
        return False


def _is_installed(name: str) -> bool:
    if name in sys.modules or name in sys.stdlib_module_names:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return True  # something is there

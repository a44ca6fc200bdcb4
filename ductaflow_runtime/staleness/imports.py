"""What Python's import system did: which modules of the project a process holds, and which reads are its own."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import itertools
import operator
import os
import sys
import sysconfig
from collections.abc import Iterator
from types import CodeType, FrameType

_BOOTSTRAP = "<frozen importlib._bootstrap"
_SUFFIXES = tuple(importlib.machinery.all_suffixes())
_PACKAGED = frozenset(("site-packages", "dist-packages"))
_LONGEST_PATH = 1024
_MARKER = "pyproject.toml"  # modules name it to find the project's root; what it holds, they would open


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, at any depth, as the two are written."""
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


@functools.cache
def installed_folders(*bases: str) -> tuple[str, ...]:
    """Folders, each with a separator at its end, that hold the standard library and installed packages.

    Of an environment inside the project (the first of `bases`) all; but no folder that holds one of `bases`: a
    project may lie in an environment's folder, or be one.
    """
    found = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    found |= {prefix for prefix in (sys.prefix, sys.base_prefix) if is_below(prefix, bases[0])}
    found |= {os.path.realpath(folder) for folder in found}
    holds = [folder for folder in found if any(base == folder or is_below(base, folder) for base in bases)]
    return tuple(folder.rstrip(os.sep) + os.sep for folder in sorted(found.difference(holds)))


def is_packaged(inside: str) -> bool:
    """Whether a path, seen from the project, goes through some environment's folder of packages."""
    return not _PACKAGED.isdisjoint(inside.split(os.sep))


def asked_by_import(path: str, listing: bool, frame: FrameType) -> bool:
    """Whether `frame` opens or lists `path` for an import, or to look up versions.

    What a module reads while it is being imported is an input, as is what a flow has the import system read
    for it (`pkgutil.get_data`, a module called `settings.conf`).
    """
    asking, behind = frame.f_code.co_filename, frame.f_back
    if asking.startswith(_BOOTSTRAP):
        inside = behind is not None and behind.f_code.co_filename.startswith(_BOOTSTRAP)
        return inside and (listing or path.endswith(_SUFFIXES))
    return listing and asking == _file_of("importlib.metadata") and path in sys.path


def asked_for_source(path: str, frame: FrameType) -> bool:
    """Whether `frame` opens a file of code to show its lines: in a traceback or a warning, or because a flow asks."""
    if not path.endswith(".py"):
        return False
    asking = list(itertools.islice(_callers(frame), 3))
    shown = any(name.startswith(_BOOTSTRAP) and function == "get_source" for name, function in asking)
    return shown or _file_of("linecache") in [name for name, _ in asking]


def _file_of(name: str) -> str:
    return getattr(sys.modules.get(name), "__file__", None) or ""


def _callers(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_code.co_name
        frame = frame.f_back


def imported_since(last: str | None) -> list[str]:
    """The modules imported after `last`, newest first; `None` asks for all of them.

    Read from the end: in a forked child, touching the thousands of older names would copy their memory.
    """
    return list(itertools.takewhile(functools.partial(operator.ne, last), reversed(sys.modules)))


def files_of_imported(last: str | None) -> set[str]:
    """The files of code of the modules imported after `last`, wherever they are."""
    found = (getattr(sys.modules.get(name), "__file__", None) for name in imported_since(last))
    return {path for path in found if isinstance(path, str)}


def local_modules(root: str, last_import: str | None = None) -> dict[str, str]:
    """Project-local modules, compiled ones too, that this process has imported since: absolute path -> module name."""
    installed = installed_folders(root)
    found: dict[str, str] = {}
    for name in imported_since(last_import):
        path = getattr(sys.modules.get(name), "__file__", None)
        if not isinstance(path, str) or path.startswith(installed) or name == "__main__" or _is_own(name):
            continue
        inside = path if is_below(path, root) else os.path.realpath(path)
        if is_below(inside, root) and not is_packaged(inside[len(root) :]):
            found[os.path.abspath(path)] = name
    return found


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in ("ductaflow", "ductaflow_runtime")


def texts_of(code: CodeType) -> Iterator[str]:
    """The texts in compiled code that could be a path.

    From the compiled code, since the import has just made it or loaded it from its cache: nothing is parsed again.
    """
    return _texts_among(code.co_consts)


def _texts_among(values: tuple[object, ...] | frozenset[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            if 0 < len(value) <= _LONGEST_PATH and value != _MARKER and "\n" not in value and "\0" not in value:
                yield value
        elif isinstance(value, CodeType):
            yield from _texts_among(value.co_consts)
        elif isinstance(value, (tuple, frozenset)):
            yield from _texts_among(value)


def texts_of_imported(root: str) -> Iterator[str]:
    """The same of all project-local modules that this process has imported so far."""
    for name in local_modules(root).values():
        code = None
        with contextlib.suppress(Exception):  # a loader of the user's own, or a file that is gone
            spec = sys.modules[name].__spec__
            code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
        if code is not None:
            yield from texts_of(code)

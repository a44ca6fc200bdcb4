"""What a worker imports before it forks, so that no instance pays for it again.

Only installed packages: a project's own modules may be edited while the worker lives.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.prepare import study
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.notebook import read_bytes
from ductaflow_runtime.staleness.take_fingerprint import packages

# Their import starts threads or takes hold of devices, which a fork does not survive.
FORK_UNSAFE = frozenset(
    [
        "cupy",
        "dask",
        "distributed",
        "duckdb",
        "gi",
        "grpc",
        "jax",
        "jpype",
        "mpi4py",
        "polars",
        "pyspark",
        "PyQt5",
        "PyQt6",
        "PySide2",
        "PySide6",
        "ray",
        "rpy2",
        "tensorflow",
        "tkinter",
        "torch",
        "wx",
        "xgboost",
        "lightgbm",
    ]
)
# Their import changes the terminal settings that every later child would see.
_NEVER = frozenset(("readline", "rlcompleter", "curses", "pdb", "code", "antigravity", "this", "idlelib"))
# Importing this shows figures inline from then on, unless the flow has chosen another backend before.
_INLINE = "matplotlib_inline"
_NEEDED_INLINE = ("matplotlib.backends.backend_agg", "IPython.core.pylabtools")
_MODULE_ENDINGS = tuple(importlib.machinery.all_suffixes())
_ALWAYS = (
    "ductaflow_runtime.flow_api",
    "ductaflow_runtime.execution.script",
    "ductaflow_runtime.kernel.cells",
    "asyncio",
    "jupytext",
    "nbclient",
    "nbformat",
    "papermill.execute",
    "tornado.ioloop",
    "dateutil.parser",
)


def preload_runtime() -> None:
    """What every execution needs."""
    for name in _ALWAYS:
        importlib.import_module(name)


class Preloader:
    """What a worker has imported ahead, and what its children had to import beyond that."""

    def __init__(self) -> None:
        # Top-level names that the runtime itself has loaded: in a fork, no module of the project can take their place.
        self._of_runtime: frozenset[str] = frozenset()
        self._learned: set[str] = set()

    def warm_up(self, job: Job) -> None:
        """Do ahead what every execution of this flow needs: read it, and import what it imports."""
        flow = Path(job.flow)
        names: tuple[str, ...] = ()
        with contextlib.suppress(Exception):  # what is wrong with the flow, the execution will say
            names = study(flow, read_bytes(flow))[1].imports
        shell: Any = build_kernel().shell
        with shell.builtin_trap:  # pandas looks for a notebook when it is imported
            wanted = [*names, *self._learned] if job.preload is None else job.preload
            self.preload(wanted, job.export_html, (flow.parent, job.root))
            self._learned.clear()
        packages(names)

    def learn(self, names: Iterable[str]) -> None:
        """Children had to import these themselves; the next ones find them there."""
        self._learned.update(filter(is_part_of_known, names))

    def preload(
        self, names: Iterable[str], export_html: bool = False, folders: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        """Import modules ahead; one that fails is left for the flow itself to fail on.

        `folders` come first when the flow imports: an installed package whose name a module there bears is not
        loaded, or forgotten again, so that the flow gets the one that a fresh interpreter would give it.
        """
        self._of_runtime = self._of_runtime or frozenset(_top(name) for name in list(sys.modules))
        local = {top for folder in folders for top in _modules_in(folder)}
        avoided = FORK_UNSAFE | local
        for name in names:
            if name not in sys.modules and _top(name) != _INLINE and _top(name) not in avoided and _is_installed(name):
                with _quietly(), contextlib.suppress(BaseException):
                    importlib.import_module(name)
        if "matplotlib" in sys.modules:
            with contextlib.suppress(ImportError):
                for name in _NEEDED_INLINE:
                    importlib.import_module(name)
        if export_html:
            from ductaflow_runtime.html_export.export import warm_up

            with contextlib.suppress(Exception):
                warm_up()
        shadowed = {top for top in local - self._of_runtime if top in sys.modules}
        for name in [name for name in sys.modules if _top(name) in shadowed] if shadowed else ():
            del sys.modules[name]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Show no warnings; the filters that a library sets as it is imported stay, as in any other process."""
    module: Any = warnings
    show = module._showwarnmsg
    module._showwarnmsg = lambda _message: None
    try:
        yield
    finally:
        module._showwarnmsg = show


def _top(name: str) -> str:
    return name.partition(".")[0]


def _modules_in(folder: str | os.PathLike[str]) -> list[str]:
    """The top-level names that a folder on the import path provides; one without `__init__.py` yields to others."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    return [
        _top(entry)
        for entry in entries
        if entry.endswith(_MODULE_ENDINGS)
        or ("." not in entry and os.path.exists(os.path.join(folder, entry, "__init__.py")))
    ]


def is_part_of_known(name: str) -> bool:
    """Whether a module belongs to the standard library or to a package that is loaded already."""
    top = _top(name)
    if top in sys.stdlib_module_names:
        return top not in _NEVER
    return top in sys.modules and top not in FORK_UNSAFE and _is_installed(top)


def _is_installed(name: str) -> bool:
    top = _top(name)
    if top in sys.stdlib_module_names:
        return top not in _NEVER
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return False
    origin = (spec.origin if spec is not None else None) or ""
    return any(Path(folder) in Path(origin).parents for folder in _installed_folders()) if origin else False


def _installed_folders() -> set[str]:
    return {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}

"""What a worker imports before it forks, so that no instance pays for it again.

Only installed packages: a project's own modules may be edited while the worker lives.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import sysconfig
import warnings
from collections.abc import Iterable
from pathlib import Path

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
_ALWAYS = (
    "ductaflow_runtime.interactive",
    "ductaflow_runtime.script",
    "ductaflow_runtime.summary",
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


def preload(names: Iterable[str], export_html: bool = False) -> None:
    """Import modules ahead; one that fails is left for the flow itself to fail on."""
    for name in names:
        if name not in sys.modules and name.partition(".")[0] not in FORK_UNSAFE and _is_installed(name):
            with warnings.catch_warnings(), contextlib.suppress(BaseException):
                warnings.simplefilter("ignore")
                importlib.import_module(name)
    if "matplotlib" in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module("matplotlib_inline.backend_inline")
    if export_html:
        from ductaflow_runtime.html import warm_up

        with contextlib.suppress(Exception):
            warm_up()


def is_part_of_known(name: str) -> bool:
    """Whether a module belongs to the standard library or to a package that is loaded already."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top not in _NEVER
    return top in sys.modules and top not in FORK_UNSAFE and _is_installed(top)


def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
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

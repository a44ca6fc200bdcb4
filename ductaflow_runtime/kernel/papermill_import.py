"""Papermill, imported without the packages by which it reaches the web and Hadoop.

It imports them with itself, and in a fresh process they take as long as all the rest. Its functions find them when
they are called: a flow that runs papermill on such an address has it as papermill does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_FOR_ADDRESSES = ("requests", "pyarrow.fs")
_NEED_THEM = ("boto3", "azure", "gcsfs", "github")  # papermill imports these with itself, where they are installed


class _Later(ModuleType):
    """A module whose functions import it when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *values, **options: getattr(importlib.import_module(self.__name__), name)(*values, **options)


def import_papermill() -> None:
    """Import it, if nobody has; what stands in for others is gone from `sys.modules` afterwards."""
    if "papermill" in sys.modules:
        return
    others = any(importlib.util.find_spec(name) is not None for name in _NEED_THEM)
    stand_ins = {name: _Later(name) for name in _FOR_ADDRESSES if _is_unused(name) and not others}
    sys.modules.update(stand_ins)
    try:
        importlib.import_module("papermill")
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _is_unused(name: str) -> bool:
    """Whether a package is installed, and not imported yet."""
    package = name.partition(".")[0]
    return package not in sys.modules and importlib.util.find_spec(package) is not None

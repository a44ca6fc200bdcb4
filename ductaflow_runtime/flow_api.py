"""Telling a notebook from a script, and making an opened flow run as it stands.

In an interactive notebook nothing is injected, and the CLI block does not run. So the first question that
every flow asks, `is_notebook_execution()`, is also where an empty `config` is filled from the default that
the CLI block names.
"""

from __future__ import annotations

import ast
import linecache
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.config import read_config
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.project import find_root, set_import_path

if TYPE_CHECKING:
    from types import FrameType


def is_notebook_execution() -> bool:
    """Whether this flow runs as a notebook: in a Jupyter, VS Code or IPython kernel, or from the conductor.

    False for `python flow/x.py`. In an interactive notebook the project becomes importable from here on,
    and a `config` that is still empty is filled from the default config named in the same cell.
    """
    running = execution.current()
    if running is not None:
        return not running.script
    if not execution.in_kernel():
        return False
    _prepare(sys._getframe(1))
    return True


def _prepare(frame: FrameType) -> None:
    root = find_root()
    set_import_path(_flow_folder(frame.f_globals, root), root)
    config = frame.f_globals.get("config")
    if config != {} or not isinstance(config, dict):
        return
    default = _default_named_in(frame.f_code.co_filename)
    if default is None:
        return
    config.update(read_config(root / default))
    print(f"config: {default} (opened as a notebook, nothing injected)")  # noqa: T201


def _default_named_in(filename: str) -> str | None:
    """The default config in the source of a cell; IPython keeps each cell's lines in `linecache`."""
    from ductaflow_runtime.flow import default_config_in

    try:
        return default_config_in(ast.parse("".join(linecache.getlines(filename))))
    except SyntaxError:
        return None


def _flow_folder(names: dict[str, Any], root: Path) -> Path:
    """Where the opened flow lies: as the editor says, else the working directory, else `flow/`."""
    for name in ("__vsc_ipynb_file__", "__session__"):
        told = names.get(name)
        if isinstance(told, str) and Path(told).is_absolute() and Path(told).parent.is_dir():
            return Path(told).parent
    here = Path.cwd()
    return root / "flow" if here == root and (root / "flow").is_dir() else here

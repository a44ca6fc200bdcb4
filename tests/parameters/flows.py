"""Flows as text, and what is known of their keys."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ductaflow_runtime.flow.syntax import default_config_in
from ductaflow_runtime.parameters.check import KeyChecks, KeyProblem
from ductaflow_runtime.parameters.keys import CodeCell, FlowKeys, analyse_keys
from ductaflow_runtime.parameters.magics import parse
from ductaflow_runtime.parameters.modules import names_in_modules

HEAD = """\
# %% tags=["parameters"]
# Parameters cell - injected by papermill
config = {}

# %% CLI Mode
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/base.json", "A test of keys")

# %%
from ductaflow import display_config_summary
display_config_summary(config, "A test")

# %%
"""


def cells_in(text: str) -> Iterator[CodeCell]:
    """The code cells of a percent-format text."""
    for part in text.split("# %%")[1:]:
        title, _, source = part.partition("\n")
        if "[markdown]" not in title:
            yield CodeCell(source, parse(source), '"parameters"' in title)


def keys_of(text: str) -> FlowKeys:
    """What is known of a flow that is given as text, in percent format, its head included."""
    cells = list(cells_in(text))
    default = next((path for cell in cells if cell.tree and (path := default_config_in(cell.tree))), None)
    return analyse_keys(cells, default)


def body(code: str) -> str:
    """A flow with the head that every flow has."""
    return HEAD + textwrap.dedent(code)


def problems(text: str, config: dict[str, object], root: Path, *known: dict[str, object]) -> list[KeyProblem]:
    """What is wrong with a config for a flow in a project at `root`."""
    keys = keys_of(text)
    modules = partial(names_in_modules, keys.imports, [root / "flow", root])
    return KeyChecks(keys, known=known, modules=modules).problems(config)

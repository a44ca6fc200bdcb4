"""What a flow's code says, as a value."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ductaflow_runtime.parameters.keys import FlowKeys
from ductaflow_runtime.parameters.languages import PYTHON

FLOW = "{flow}"
"""Stands for the flow's path in texts about it, which are kept by its content."""


@dataclass(frozen=True)
class FlowCode:
    """What a flow's text says, as far as staleness, preloading, its parameters and a look ahead need it.

    `order` is its imports as `import_order` gives them.
    `kernel` is the one that it names, if that is not this Python. Of a flow in another language are also known the
    names that its parameters cell may assign, and all `words` of its code.

    `broken` has a line for each cell that is no Python, with `FLOW` for the flow's path. `required` are the steps of
    `import_steps` in all its cells; `None` if it may itself see to it that modules are found. `is_script`: run by
    Python, it reads its config from its arguments.

    `shared` tells its shared cells from other ones, empty if none are executed ahead; `shared_notes` has a line for
    each cell that is tagged so and yet executed by each instance.
    """

    cells: tuple[str, ...]
    text: str
    imports: tuple[str, ...]
    literals: tuple[str, ...]
    default_config: str | None
    kernel: str | None
    keys: FlowKeys
    language: str = PYTHON
    assigned: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    required: tuple[str, ...] | None = None
    is_script: bool = False
    shared: str = ""
    shared_notes: tuple[str, ...] = ()


def changed_cells(old: list[str], new: list[str]) -> list[str]:
    """Which code cells differ, counted from 1 in the flow as it is now."""
    found: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        changed = min(i2 - i1, j2 - j1)
        found += [f"cell {j + 1}" for j in range(j1, j1 + changed)]
        found += [f"cell {j + 1} added" for j in range(j1 + changed, j2)]
        found += [f"cell {i + 1} removed" for i in range(i1 + changed, i2)]
    return found

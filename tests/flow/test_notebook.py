"""Which cells of a notebook are the flow's own, and how they are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ductaflow import run_notebook
from ductaflow_runtime.flow.notebook import (
    cell_at_end,
    cell_at_line,
    own_code_cells,
    read_bytes,
    read_executed,
    read_notebook,
)
from tests.conftest import HEAD, Project

FLOW = HEAD + "# %% [markdown]\n# Text\n\n# %%\nfirst = config['n']\n\n# %% tags=['last']\nlast = 2\n"


def test_an_executed_notebook_has_the_flows_cells_with_their_numbers(project: Project) -> None:
    """The line at its top and the injected parameters do not count."""
    path = project.write_flow("flow/step.py", FLOW)
    flow = read_notebook(path, read_bytes(path))
    executed = read_executed(run_notebook("flow/step.py", {"n": 1}).notebook)
    assert len(executed.cells) == len(flow.cells) + 2
    told = [[(number, cell.source) for number, cell in own_code_cells(each)] for each in (flow, executed)]
    assert told[0] == told[1]
    assert told[0][-1] == (4, "last = 2")


@pytest.mark.parametrize("marked", [1, 2, 3])
def test_the_cell_that_was_executing_is_counted_alike(marked: int) -> None:
    """What papermill has injected before it makes no difference."""
    cells: list[dict[str, Any]] = [{"cell_type": "code", "metadata": {}} for _ in range(3)]
    cells[marked - 1]["metadata"] = {"papermill": {"status": "running"}}
    cells.insert(1, {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}})
    assert cell_at_end({"cells": cells}) == marked


def test_the_lines_of_a_script_belong_to_the_same_cells(tmp_path: Path) -> None:
    """A script and a notebook name a failing cell by one number."""
    path = tmp_path / "step.py"
    path.write_text(FLOW)
    lines = FLOW.splitlines()
    for number, cell in own_code_cells(read_notebook(path, FLOW.encode())):
        assert cell_at_line(FLOW, lines.index(cell.source.splitlines()[-1]) + 1) == number

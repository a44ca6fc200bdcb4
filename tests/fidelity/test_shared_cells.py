"""What a cell leaves in the notebook does not depend on whether it was executed by the instance or once for all."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import nbformat
import pytest

from ductaflow import FlowError, run_notebook

from .normalise import Cell, cells_of
from .probe_files import CONFIG, PROBES, notebook_of

pytestmark = pytest.mark.slow

# Those whose cells may all be shared.
FILES = (
    "bars",
    "figures_agg",
    "figures_magic",
    "figures_use_agg",
    "layout",
    "stop_async_error",
    "stop_bad_display",
    "stop_bad_repr",
    "stop_error",
    "stop_interrupt",
    "stop_sys_exit",
    "stop_sys_exit_zero",
    "streams",
    "updates",
)
# What an instance finds of the cells above: names, history, and displays that it may update.
AFTER = """
# %% tags=["parameters"]
config = {}

# %%
print(sorted(name for name in globals() if not name.startswith("_")), len(In), sorted(Out))
"""


def executed(name: str, project: Path, *, shared: bool) -> list[Cell]:
    """The cells of a probe file, executed above a parameters cell."""
    text = re.sub(r"(?<!%)\bconfig\b", "given", (PROBES / f"{name}.txt").read_text(encoding="utf-8"))
    notebook = notebook_of(f"# %%\ngiven = {CONFIG!r}\n\n{text}{AFTER}")
    end = len(notebook.cells) - 2
    for cell in notebook.cells[:end]:
        if shared and cell.cell_type == "code":
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "shared"]
    (project / "flow").mkdir(parents=True)
    (project / "pyproject.toml").write_text("[tool.ductaflow]\npage = false\n", encoding="utf-8")
    nbformat.write(notebook, project / "flow" / "probe.ipynb")
    with contextlib.chdir(project), contextlib.suppress(FlowError):
        run_notebook("flow/probe.ipynb", {}, instance_name="x")
    found = nbformat.read(project / "runs" / "probe" / "x" / "probe.ipynb", as_version=4)
    for cell in found.cells:
        cell.metadata["tags"] = [tag for tag in cell.metadata.get("tags", []) if tag != "shared"]
    return cells_of(found, project)


@pytest.mark.parametrize("name", FILES)
def test_a_shared_cell_leaves_what_an_ordinary_one_does(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Outputs, numbers, errors, and what the cells below find of them."""
    ordinary = executed(name, tmp_path / "ordinary", shared=False)
    assert executed(name, tmp_path / "shared", shared=True) == ordinary
    assert "shared" not in capfd.readouterr().err

"""Text that a real kernel chokes on must not cost a flow its notebook, its log or its true error."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

FLOW = """\
# %% tags=["parameters"]
config = {}

# %%
print("printed \\ud800")

# %%
{}["no such key \\udcff"]
"""


@pytest.mark.parametrize("engine", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_lone_surrogate_costs_neither_the_notebook_nor_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """File names that are not UTF-8 come as lone surrogates, in prints and in error messages."""
    from ductaflow import FlowError, run_notebook

    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "odd.py").write_text(FLOW, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(f'[tool.ductaflow]\nengine = "{engine}"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowError):
        run_notebook("flow/odd.py", instance_name="x")
    folder = tmp_path / "runs" / "odd" / "x"
    error = json.loads((folder / "run.json").read_text(encoding="utf-8"))["error"]
    assert (error["type"], error["cell"]) == ("KeyError", 3)
    notebook = nbformat.read(str(folder / "odd.ipynb"), as_version=4)
    kinds = [output.output_type for cell in notebook.cells for output in cell.get("outputs", [])]
    assert kinds == ["stream", "error"]
    assert "printed" in (folder / "run.log").read_text(encoding="utf-8")

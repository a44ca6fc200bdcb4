"""The kernel serves any program that runs notebooks with papermill, not only the runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

PROGRAM = """
import sys
import papermill

ours = [name.partition(".")[2] for name in sys.modules if name.startswith("ductaflow_runtime.")]
print(*sorted(ours))
papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name="ductaflow", progress_bar=False)
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("ductaflow_runtime.")}))
"""


@pytest.mark.slow
def test_papermill_uses_it_alone(tmp_path: Path) -> None:
    """`papermill --engine ductaflow` executes a notebook; papermill's import loads one small module of ours."""
    cells = [nbformat.v4.new_code_cell("print(6 * 7)"), nbformat.v4.new_code_cell("6 * 9")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["kernel kernel.papermill_engine", "files kernel"]
    printed, shown = [cell.outputs[0] for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells]
    assert (printed.text, shown.data["text/plain"]) == ("42\n", "54")

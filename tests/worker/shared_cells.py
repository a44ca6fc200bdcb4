"""Flows with cells tagged `shared`, and what their sweeps tell of them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd

from ductaflow import run_instances
from tests.conftest import HEAD, Project

TOKEN = "import uuid\ntoken = uuid.uuid4().hex\n"
SAVES = '# %%\nfrom ductaflow import save_results\nsave_results(token=token, n=config["n"])\n'


def write(project: Project, *shared: str, rest: str = SAVES) -> Path:
    """A flow with these shared cells above its head."""
    cells = "".join(f'# %% tags=["shared"]\n{textwrap.dedent(cell)}\n' for cell in shared)
    return project.write_flow("flow/step.py", cells + HEAD + textwrap.dedent(rest))


def sweep(rows: int = 3, **options: object) -> pd.DataFrame:
    """Some rows on two workers."""
    names = [f"r{n}" for n in range(rows)]
    frame = pd.DataFrame({"instance_name": names, "n": range(rows)})
    return run_instances(frame, "flow/step.py", workers=2, **options)  # type: ignore[arg-type]


def tokens(frame: pd.DataFrame) -> int:
    """How often the shared cells of these rows were executed."""
    return int(frame["result.token"].nunique())


def outputs(project: Project, name: str) -> list[object]:
    """Count and outputs of each code cell, times and addresses aside."""
    cells = [cell for cell in project.notebook("step", name)["cells"] if cell["cell_type"] == "code"]
    return [[cell["execution_count"], [output.get("text") or output for output in cell["outputs"]]] for cell in cells]

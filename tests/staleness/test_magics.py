"""What stands in a magic that runs Python counts like the code around it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ductaflow import run_notebook
from ductaflow_runtime.flow.analysis import analyse
from tests.conftest import Project

SAVE = "from ductaflow import save_results\nsave_results(rows=table.num_rows)"


def notebook(project: Project, *cells: str) -> Path:
    """A notebook flow of code cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = project.root / "step.ipynb"
    nbformat.write(made, path)
    return path


def links(project: Project, rows: int) -> None:
    """A table that Arrow opens natively, so that only its name in the code tells of it."""
    (project.root / "data").mkdir(exist_ok=True)
    pq.write_table(pa.table({"a": list(range(rows))}), project.root / "data/links.parquet")


@pytest.mark.parametrize(
    "read",
    [
        '%%time\ntable = pq.read_table("data/links.parquet")',
        '%time table = pq.read_table("data/links.parquet")',
        'table = %time pq.read_table("data/links.parquet")',
        '%%capture told\n%matplotlib inline\ntable = pq.read_table("data/links.parquet")',
        'if root:\n    %time table = pq.read_table("data/links.parquet")',
    ],
    ids=["cell", "line", "value", "nested", "indented"],
)
def test_what_a_magic_imports_and_reads_counts(project: Project, read: str) -> None:
    """Packages imported and files named in `%%time` and its like are recorded, and a changed file runs it again."""
    links(project, 2)
    enter = "import os\nroot = os.path.abspath('../../..')\nos.chdir(root)"
    flow = notebook(project, "%%capture\nimport numpy as np\nimport pyarrow.parquet as pq", enter, read, SAVE)
    record = run_notebook(flow, instance_name="a")
    assert record.results == {"rows": 2}
    assert record.fingerprint is not None
    assert {"numpy", "pyarrow"} <= set(record.fingerprint.packages)
    assert list(record.fingerprint.inputs) == ["data/links.parquet"]
    assert run_notebook(flow, instance_name="a").skipped
    links(project, 5)
    again = run_notebook(flow, instance_name="a")
    assert (again.reason, again.results) == ("input: data/links.parquet", {"rows": 5})


def test_the_digest_of_a_magic_is_that_of_its_text(project: Project) -> None:
    """Records of 0.1.0 stay up to date: what a cell's digest is made of has not changed."""
    flow = notebook(project, "%%time\nimport numpy\nx = 1", "%time y = x", "z = %time x")
    assert list(analyse(flow).cells) == DIGESTS


DIGESTS = ["03b580ce86168ea6", "924f196c66d57281", "e508c9c38d8b3f30"]


def test_a_default_config_in_a_magic_is_known(project: Project) -> None:
    """The CLI cell may be timed like any other."""
    flow = notebook(project, '%%time\nfrom ductaflow import load_cli_config\nconfig = load_cli_config("config/a.json")')
    assert analyse(flow).default_config == "config/a.json"


@pytest.mark.parametrize("magic", ["%%capture", "%%time"])
def test_what_a_magic_imports_is_not_required(project: Project, magic: str) -> None:
    """Whether an error within it ends the flow is the magic's affair, so nothing is refused before it runs."""
    flow = notebook(project, f"{magic}\nimport nowhere_to_be_found")
    assert "nowhere_to_be_found" in analyse(flow).imports
    assert analyse(flow).required == ()


def test_a_magic_may_change_where_modules_come_from(project: Project) -> None:
    """What is imported below it is then left to the flow."""
    flow = notebook(project, "%%capture\nimport sys\nsys.path.insert(0, 'elsewhere')", "import nowhere_to_be_found")
    assert analyse(flow).required is None

"""Patterns of files that a flow's author meant from the flow's own folder: what nothing matches is no error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ductaflow import run_notebook
from tests.conftest import Project

COUNTS = """\
# %%
import glob
import os
from pathlib import Path
from ductaflow import save_results

save_results(n=len(list({looks})))
"""


@pytest.mark.parametrize(
    ("looks", "cure"),
    [
        ('glob.glob("parts/*.csv")', "glob.glob(str(project_path('flow/parts/*.csv'))) finds them"),
        ('glob.iglob("**/*.csv", root_dir="parts", recursive=True)', "project_path('flow/parts/**/*.csv')), recursive"),
        ('glob.glob(os.getcwd() + "/parts/*.csv")', "glob.glob(str(project_path('flow/parts/*.csv')))"),
        ('glob.glob("../data/*.csv")', "glob.glob(str(project_path('data/*.csv')))"),
        ('Path("parts").glob("*.csv")', "project_path('flow/parts').glob('*.csv')"),
        ('Path("data").rglob("*.csv")', "project_path('data').glob('**/*.csv')"),
        ('Path("data", "a.csv").parent.glob("?.csv")', "project_path('data').glob('?.csv')"),
        ('Path().glob("*.txt")', "project_path('flow').glob('*.txt')"),
        ('os.walk("parts")', "os.walk(project_path('flow/parts'))"),
    ],
)
@pytest.mark.parametrize("copies", [False, True])
def test_a_pattern_that_matches_only_beside_the_flow(project: Project, looks: str, cure: str, copies: bool) -> None:
    """The flow goes on with nothing, as it would; but it has warned, and its log and notebook say what finds them."""
    for name in ("flow/parts/a.csv", "flow/x.txt", "data/a.csv"):
        project.write(name, "a\n")
    project.settings(copy_inputs=copies)
    project.flow(COUNTS.format(looks=looks))
    record = run_notebook("flow/step.py", instance_name="x")
    assert (record.status, record.results, record.warnings) == ("done", {"n": 0}, 1)
    assert cure in record.log.read_text()
    assert cure in record.notebook.read_text()


@pytest.mark.parametrize(
    "looks",
    [
        'glob.glob("parts/*.xls")',  # nowhere
        'glob.glob("**/*.csv", recursive=True)',  # the whole project is not searched
        'glob.glob(str(Path(__import__("ductaflow").project_path("nothing"), "*.csv")))',
        'Path("made").glob("*.csv")',  # there, as the author meant it
        'os.walk("made")',
        'os.walk(".")',
    ],
)
def test_a_pattern_that_is_right(project: Project, looks: str) -> None:
    """Nobody is warned of it."""
    for name in ("flow/parts/a.csv", "made/b.csv"):
        project.write(name, "a\n")
    project.flow(f'import os\nos.mkdir("made")\nopen("made/b.csv", "w").close()\n{COUNTS.format(looks=looks)}')
    record = run_notebook("flow/step.py", instance_name="x")
    assert (record.status, record.warnings) == ("done", 0)


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_pattern_that_is_used_again(project: Project) -> None:
    """One warning for each pattern, on each engine."""
    project.write("flow/parts/a.csv", "a\n")
    project.flow('import glob\nfor _ in range(3):\n    glob.glob("parts/*.csv")\nglob.glob("parts/*")')
    record = run_notebook("flow/step.py", instance_name="x")
    assert record.warnings == 2
    assert record.log.read_text().count("matches nothing here") == 2


def test_a_script_with_an_output_directory_warns_too(project: Project) -> None:
    """The modes agree."""
    project.write("config/base.json", "{}")
    project.write("flow/parts/a.csv", "a\n")
    project.flow('import glob\nprint(len(glob.glob("parts/*.csv")))')
    done = subprocess.run(
        [sys.executable, "flow/step.py", "--output-dir", "runs/step/x"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "0\n"
    assert "project_path('flow/parts/*.csv')" in done.stderr
    assert project.record("step", "x")["warnings"] == 1


def test_shared_cells_warn_too(project: Project) -> None:
    """What was looked for once for all instances is missing in each of them."""
    project.write("flow/parts/a.csv", "a\n")
    project.write(
        "flow/step.py",
        '# %% tags=["shared"]\nimport glob\nparts = glob.glob("parts/*.csv")\n'
        '# %% tags=["parameters"]\nfactor = 1\n# %%\nprint(len(parts) * factor)\n',
    )
    for name in ("x", "y"):
        record = run_notebook("flow/step.py", {"factor": 2}, instance_name=name, force=True)
        assert (record.status, record.warnings) == ("done", 1)
        assert "matches nothing here" in record.log.read_text()

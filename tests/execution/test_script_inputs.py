"""The record of a script tells of the text that ran and of what it read, above its CLI cell too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pandas as pd
import pytest

from ductaflow import plan_instances, run_notebook
from tests.conftest import HEAD, Project
from tests.staleness.test_bytecode import compile_and_edit


def script(project: Project, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a flow of that text as a script with an output folder."""
    project.write("config/base.json", "{}")
    project.write("flow/step.py", text)
    command = [sys.executable, "flow/step.py", *(arguments or ["--output-dir", "runs/step/a"])]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


EDITS_ITSELF = """# %%
from pathlib import Path

text = Path(__file__).read_text()
Path(__file__).write_text(text.replace("RATE = 1", "RATE = 2"))

"""
RATE = """
# %%
from ductaflow import save_results

RATE = 1
save_results(rate=RATE)
"""


def test_a_script_that_is_edited_before_its_cli_cell_ends(project: Project) -> None:
    """Python runs the old text: a record of it would call the new one up to date. Nothing is made; again, it runs."""
    ended = script(project, EDITS_ITSELF + HEAD + RATE)
    assert ended.returncode == 2
    assert f"{project.root / 'flow/step.py'} was edited after Python had read it" in ended.stderr
    assert "start it again" in ended.stderr
    assert not (project.root / "runs/step/a").exists()
    assert script(project, HEAD + RATE.replace("= 1", "= 2")).returncode == 0
    assert project.record("step", "a")["results"] == {"rate": 2}


def test_a_script_that_is_edited_below_its_cli_cell_is_out_of_date(project: Project) -> None:
    """The record has the text that ran, so the conductor sees the change."""
    assert script(project, HEAD + EDITS_ITSELF + RATE).returncode == 0
    assert project.record("step", "a")["results"] == {"rate": 1}
    (reason,) = plan_instances(pd.DataFrame({"instance_name": ["a"]}), "flow/step.py")["reason"]
    assert reason == "code: cell 3, cell 4"


def test_without_a_record_a_script_runs_as_python_has_read_it(project: Project) -> None:
    """There is nothing that could be called up to date."""
    assert "result rate = 1" in script(project, EDITS_ITSELF + HEAD + RATE, "--config", "config/base.json").stdout


READS_ABOVE = """# %%
import os
from ductaflow import instance_path, load_results, project_path

name = "zones"
rows = len(open(project_path("data", f"{name}.txt")).read().split())
with open(os.path.join(os.path.dirname(__file__), "..", "data", f"{name}.csv")) as file:
    rows += len(file.read().split())
native = project_path("data", f"{name}.parquet")  # for a library that opens it itself
listed = os.listdir(project_path("data"))
other = instance_path("other", "b", f"{name}.txt").read_text()
assert load_results("other")["result.n"].tolist() == [1]
from lib.rates import RATE

"""


DATA = ["data/zones.txt", "data/zones.csv", "data/zones.parquet"]


@pytest.fixture(scope="module")
def has_read(make_project: Callable[[str], Project]) -> Project:
    """A project with data, an instance of another flow, and that of a script which has read them."""
    project = make_project("reading")
    for name in DATA:
        project.write(name, "1 2 3")
    project.write("lib/rates.py", "RATE = 1\n")
    project.flow(
        '# %%\nimport ductaflow\nopen("zones.txt", "w").write("4")\nductaflow.save_results(n=1)\n', "flow/other.py"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        run_notebook("flow/other.py", {}, instance_name="b")
    head = HEAD.replace("%% CLI", "%%\nimport sys; sys.path.insert(0, '.')\n" + READS_ABOVE + "\n# %% CLI")
    ended = script(project, head + "# %%\nimport ductaflow\nductaflow.save_results(rows=rows)\n")
    assert ended.returncode == 0, ended.stderr
    return project


@pytest.fixture
def reading(has_read: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """That project as the working directory; what a test changes of its data is as before after it."""
    monkeypatch.chdir(has_read.root)
    yield has_read
    for name in DATA:
        has_read.write(name, "1 2 3")


def reason(project: Project) -> str | None:
    """Why the instance of the script must run, as a conductor sees it."""
    (found,) = plan_instances(pd.DataFrame({"instance_name": ["a"]}), "flow/step.py")["reason"]
    return None if pd.isna(found) else str(found)


def test_what_a_script_reads_above_its_cli_cell_is_an_input(reading: Project) -> None:
    """From its first import of ductaflow on: opened, listed, and named; what the runtime itself reads is none."""
    seen = reading.record("step", "a")["fingerprint"]
    files = ["data/zones.csv", "data/zones.parquet", "data/zones.txt", "runs/other/b/zones.txt"]
    assert {*files, "data/", "runs/other/b/run.json"} <= {*seen["inputs"]}
    assert not {"pyproject.toml", "config/base.json", "flow/step.py"} & {*seen["inputs"]}
    assert [*seen["modules"]] == ["lib/rates.py"]
    assert reason(reading) is None


@pytest.mark.parametrize("name", DATA)
def test_another_content_makes_it_run_again(reading: Project, name: str) -> None:
    """The reason names the file."""
    reading.write(name, "1 2 3 4 5")
    assert reason(reading) == f"input: {name}"


def test_a_file_named_above_and_written_below_is_no_input(project: Project) -> None:
    """As in a notebook."""
    project.write("data/total.txt", "0")
    above = '# %%\nfrom ductaflow import project_path\n\nname = "total"\npath = project_path("data", f"{name}.txt")\n\n'
    assert script(project, above + HEAD + '# %%\npath.write_text("5")\n').returncode == 0
    assert project.record("step", "a")["fingerprint"]["inputs"] == {}
    assert reason(project) is None


def test_a_module_imported_above_is_taken_from_its_text(project: Project) -> None:
    """Below the first import of ductaflow no compiled file is trusted, as everywhere."""
    compile_and_edit(project)
    above = "# %%\nimport sys; sys.path.insert(0, '.')\nimport ductaflow\nfrom lib.rates import RATE\n\n"
    assert script(project, above + HEAD + "# %%\nductaflow.save_results(rate=RATE)\n").returncode == 0
    assert project.record("step", "a")["results"] == {"rate": 2}
    assert reason(project) is None


def test_what_lies_in_the_output_folder_is_no_input(project: Project) -> None:
    """A script may look above its CLI cell at what it has left there before."""
    project.write("runs/step/a/state.txt", "1")
    above = '# %%\nfrom ductaflow import instance_path\n\nopen(instance_path("step", "a", "state.txt")).read()\n'
    assert script(project, above + HEAD).returncode == 0
    assert project.record("step", "a")["fingerprint"]["inputs"] == {}

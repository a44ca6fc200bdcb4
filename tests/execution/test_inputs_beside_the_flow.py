"""Files that a flow's author named from the flow's own folder."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ductaflow import FlowError, run_notebook
from tests.conftest import HEAD, Project

READS = """\
# %%
from pathlib import Path
from ductaflow import save_results

save_results(n=len(Path("data/x.csv").read_text()))
"""


def on(engine: str, *case: str) -> Any:
    """A case on an engine: what an error is made of, all have in common, so not each has each."""
    return pytest.param(engine, *case, marks=() if engine == "fork" else pytest.mark.slow)


@pytest.mark.parametrize(
    ("engine", "named", "where", "advice"),
    [
        on("fork", "x.csv", "flow/x.csv", "project_path('flow/x.csv')"),
        on("fork", "../data/x.csv", "data/x.csv", "project_path('data/x.csv')"),
        on("fork", "data/x.csv", "data/x.csv", "project_path('data/x.csv')"),
        on("fork", "../../x.csv", "../x.csv", "its full path"),
        on("fork", "{os.getcwd()}/data/x.csv", "flow/data/x.csv", "project_path('flow/data/x.csv')"),
        on("spawn", "x.csv", "flow/x.csv", "project_path('flow/x.csv')"),
        on("spawn", "../../x.csv", "../x.csv", "its full path"),
    ],
    indirect=["engine"],
)
def test_a_missing_file_that_is_elsewhere(project: Project, named: str, where: str, advice: str) -> None:
    """The error says where the file is and how to name it."""
    project.write(where, "a\n")
    project.flow(f'import os\nopen(f"{named}")')
    with pytest.raises(FlowError) as raised:
        run_notebook("flow/step.py", instance_name="x")
    assert advice in str(raised.value)


@pytest.mark.parametrize(
    ("code", "copies", "helps"),
    [
        ('open("x.csv")', False, True),
        ('open("x.csv")', True, None),
        ('open("{}.csv".format("x"))', False, False),
        ('open("{}.csv".format("x"))', True, False),
        ('open("../x.csv")', False, False),
        ('open("data/y.csv")', False, False),
    ],
)
def test_copies_are_advised_where_they_help(project: Project, code: str, copies: bool, helps: bool | None) -> None:
    """For a name that stands in the flow as it is, of a file below its folder; else the error only says where it is."""
    for name in ("flow/x.csv", "x.csv", "data/y.csv"):
        project.write(name, "a\n")
    project.settings(copy_inputs=copies)
    project.flow(code)
    if helps is None:
        assert run_notebook("flow/step.py", instance_name="x").status == "done"
        return
    with pytest.raises(FlowError, match="project_path") as raised:
        run_notebook("flow/step.py", instance_name="x")
    assert ("copy_inputs" in str(raised.value)) is helps


@pytest.mark.engines("fork", "spawn")
def test_a_missing_file_that_is_nowhere(project: Project) -> None:
    """Nothing is added to the error then."""
    project.flow('open("x.csv")')
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", instance_name="x")
    assert project.record("step", "x")["error"]["message"] == "[Errno 2] No such file or directory: 'x.csv'"


@pytest.mark.engines("fork", "spawn", "kernel")
def test_inputs_are_copied_for_a_flow_that_is_not_to_be_changed(project: Project) -> None:
    """It finds them while it runs; they are inputs, no outputs, and what it writes stays in its own folder."""
    project.settings(copy_inputs=True)
    original = project.write("flow/data/x.csv", "abc")
    project.write("flow/out.txt", "of the author")
    project.flow(READS + 'open("out.txt", "a").write("!")\n')
    record = run_notebook("flow/step.py", instance_name="x")
    assert record.results == {"n": 3}
    assert set(project.record("step", "x")["outputs"]) == {"out.txt"}
    assert (record.directory / "out.txt").read_text() == "of the author!"
    assert (project.root / "flow" / "out.txt").read_text() == "of the author"
    assert not (record.directory / "data").exists()
    assert run_notebook("flow/step.py", instance_name="x").skipped
    original.write_text("abcd")
    again = run_notebook("flow/step.py", instance_name="x")
    assert (again.reason, again.results) == ("input: flow/data/x.csv", {"n": 4})
    original.unlink()
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", instance_name="x")


@pytest.mark.engines("fork", "spawn")
def test_a_file_that_is_there_already_is_left_alone(project: Project) -> None:
    """What somebody has put into the instance's folder is neither written over nor removed."""
    project.settings(copy_inputs=True)
    project.write("flow/data/x.csv", "abc")
    project.write("runs/step/x/data/x.csv", "theirs")
    project.flow(READS)
    record = run_notebook("flow/step.py", instance_name="x")
    assert record.results == {"n": 6}
    assert (record.directory / "data" / "x.csv").read_text() == "theirs"


def test_a_script_with_an_output_directory_finds_them_too(project: Project) -> None:
    """The three modes agree."""
    project.settings(copy_inputs=True)
    project.write("config/base.json", "{}")
    project.write("flow/data/x.csv", "abc")
    project.write("flow/step.py", HEAD + READS)
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/x"], check=True)
    record = project.record("step", "x")
    assert (record["status"], record["results"]) == ("done", {"n": 3})
    assert record["outputs"] == {}
    assert run_notebook("flow/step.py", instance_name="x").skipped


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_module_in_a_relative_folder(project: Project) -> None:
    """The error says where the module is and what to type; typed, it is found."""
    project.write("src/helpers_x.py", "n = 3\n")
    line = 'import sys\nsys.path.append("../src")\n'
    rest = "from helpers_x import n\nfrom ductaflow import save_results\nsave_results(n=n)\n"
    project.flow(line + rest)
    with pytest.raises(FlowError) as raised:
        run_notebook("flow/step.py", instance_name="x")
    cure = "sys.path.append(str(project_path('src')))"
    assert "the project has it in src, " in str(raised.value)
    assert cure in str(raised.value)
    project.flow(f"import sys\nfrom ductaflow import project_path\n{cure}\n{rest}")
    assert run_notebook("flow/step.py", instance_name="x").results == {"n": 3}


def test_a_module_that_is_nowhere(project: Project) -> None:
    """Nothing is added to the error then."""
    project.write("src/helpers_x.py", "n = 3\n")
    project.flow('import importlib\nimportlib.import_module("helpers_y")')
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", instance_name="x")
    assert project.record("step", "x")["error"]["message"] == "No module named 'helpers_y'"


WITH_PANDAS = 'import pandas as pd\npd.DataFrame({"a": [1]}).to_csv("figures/a.png")'


@pytest.mark.parametrize(
    ("engine", "writes"),
    [
        on("fork", 'open("figures/a.png", "w")'),
        on("fork", 'open(os.path.abspath("figures/a.png"), "wb")'),
        on("fork", WITH_PANDAS),
        on("spawn", 'open("figures/a.png", "w")'),
        on("kernel", 'open("figures/a.png", "w")'),
        on("kernel", WITH_PANDAS),
    ],
    indirect=["engine"],
)
def test_an_output_in_a_folder_that_is_only_beside_the_flow(project: Project, writes: str) -> None:
    """The error says that outputs go into the instance's folder, and what makes the folder there."""
    project.write("flow/figures/a.png", "of an earlier run")
    project.flow(f"import os\n{writes}")
    with pytest.raises(FlowError) as raised:
        run_notebook("flow/step.py", instance_name="x")
    assert "os.makedirs('figures', exist_ok=True)" in str(raised.value)
    assert "project_path" not in str(raised.value)
    project.flow(f"import os\nos.makedirs('figures', exist_ok=True)\n{writes}")
    assert run_notebook("flow/step.py", instance_name="x").status == "done"

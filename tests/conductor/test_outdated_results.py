"""Results that are not up to date are told by whoever hands them on, in any process."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import load_results, run_instances, run_notebook
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.conductor.outdated import outdated
from tests.conftest import Project
from tests.waiting import wait_for

ROWS = pd.DataFrame({"instance_name": ["a", "b", "c"], "file": ["one", "one", "two"]})

FLOW = """
# %%
import pandas as pd

from ductaflow import project_path, save_results

value = int(project_path(f"{config['file']}.txt").read_text())
save_results(value=value, shares=pd.DataFrame({"of": [value]}))
"""

READER = """
# %%
import warnings

from ductaflow import load_results, save_results

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    found = load_results("step")
save_results(total=int(found["result.value"].sum()), columns=list(found), told=len(told))
"""


@pytest.fixture
def edited(project: Project) -> Project:
    """Three rows, the data of two of which have been edited since."""
    for name in ("one", "two"):
        project.write(f"{name}.txt", "1")
    project.flow(FLOW)
    run_instances(ROWS, "flow/step.py", workers=2)
    project.write("one.txt", "22")
    assert outdated.of(project.root / "runs", "step") == []  # this process knows no more than any other would
    return project


def test_results_that_are_not_up_to_date_are_told(edited: Project) -> None:
    """By one line with their number and the command that says why, and by a column with the reasons of status."""
    line = r"results of step include 2 instances that are not up to date: a, b \(`ductaflow status step` says why\)"
    with pytest.warns(UserWarning, match=line):
        frame = load_results("step")
    assert frame["not_up_to_date"].tolist() == ["input: one.txt", "input: one.txt", None]
    assert "2  input: one.txt  (step/a, step/b)" in CliRunner().invoke(main, ["status", "step"]).output
    with pytest.warns(UserWarning, match=line):
        assert load_results("step", table="shares")["of"].tolist() == [1, 1, 1]
    run_instances(ROWS, "flow/step.py", workers=2)
    assert load_results("step")["not_up_to_date"].tolist() == [None, None, None]


def test_elsewhere_nobody_can_tell(edited: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the project its results are a frame without that column, and without a warning."""
    monkeypatch.chdir(tmp_path.parent)
    frame = load_results("step", runs_dir=edited.root / "runs")
    assert len(frame) == 3
    assert "not_up_to_date" not in frame


def test_a_step_that_reads_them_is_told_of(edited: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of the call that executes it; the flow itself sees what is on disk, and nothing else."""
    edited.write_flow("flow/reader.py", READER)
    frame = run_instances(pd.DataFrame({"instance_name": ["all"]}), "flow/reader.py")
    assert frame["reason"].tolist() == ["new; reads 2 instances of step that are not up to date"]
    assert "reader: 1 row rests on results that are not up to date:" in capsys.readouterr().err
    assert "not_up_to_date" not in frame["result.columns"][0]
    assert frame["result.told"][0] == 0


def test_what_is_edited_during_a_single_instance_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """When it ends, and again by `load_results`."""
    project.write("data.txt", "1")
    project.flow("""
# %%
import time
from pathlib import Path

from ductaflow import project_path, save_results

save_results(data=project_path("data.txt").read_text())
Path("started").touch()
while not project_path("go").exists():
    time.sleep(0.01)
""")

    def edit() -> None:
        wait_for((project.root / "runs/step/a/started").exists)
        project.write("data.txt", "22")
        project.write("go", "")

    editor = threading.Thread(target=edit)
    editor.start()
    assert run_notebook("flow/step.py", instance_name="a").results == {"data": "1"}
    editor.join()
    line = "step/a is already out of date, because of what changed while it ran: input: data.txt"
    assert line in capsys.readouterr().err
    with pytest.warns(UserWarning, match="an instance that is not up to date: a"):
        load_results("step")
    run_notebook("flow/step.py", instance_name="a")
    assert "out of date" not in capsys.readouterr().err


def test_a_default_that_was_executed_is_shown(project: Project) -> None:
    """Where some rows give a parameter and others leave it to the flow; one that nobody gives is no column."""
    text = '# %% tags=["parameters"]\nrate = 0.1\nmodel = {"depth": 3}\nseed = 1\n\n# %%\nprint(rate, model, seed)\n'
    project.write_flow("flow/step.py", text)
    run_notebook("flow/step.py", {}, instance_name="default")
    run_notebook("flow/step.py", {"rate": 0.2, "model": {"depth": 4}}, instance_name="given")
    frame = load_results("step")
    assert frame["rate"].tolist() == [0.1, 0.2]
    assert frame["model.depth"].tolist() == [3, 4]
    assert "seed" not in frame

"""A step that reads a whole other step: what it counts that has no row any more, and a reason that can be read."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from ductaflow import load_results, plan_instances, run_instances, run_notebook
from tests.conftest import HEAD, Project

ROWS = pd.DataFrame({"instance_name": list("abcdef"), "n": range(6)})
SUMMARY = pd.DataFrame({"instance_name": ["all"]})


@pytest.fixture
def steps(project: Project) -> Project:
    """Six rows of a step, and one of another that adds up all of them."""
    project.write_flow("flow/step.py", HEAD + "# %%\nfrom ductaflow import save_results\nsave_results(n=config['n'])\n")
    reads = "# %%\nfrom ductaflow import load_results, save_results\nfound = load_results('step')\n"
    project.write_flow("flow/total.py", f"{reads}save_results(total=int(found['result.n'].sum()))\n")
    run_instances(ROWS, "flow/step.py", workers=2, whole=True)
    run_instances(SUMMARY, "flow/total.py")
    return project


def test_many_records_of_a_step_are_one_cause(steps: Project) -> None:
    """With their number; up to three are named."""
    run_instances(ROWS.assign(n=ROWS["n"] + 1), "flow/step.py", workers=2)
    assert plan_instances(SUMMARY, "flow/total.py")["reason"].tolist() == ["input: step (6 changed of 6 records)"]
    run_instances(ROWS[3:], "flow/step.py", workers=2)
    assert plan_instances(SUMMARY, "flow/total.py")["reason"].tolist() == [
        "input: runs/step/a/run.json; input: runs/step/b/run.json; input: runs/step/c/run.json"
    ]


def test_rows_that_are_gone_are_told_where_they_count(steps: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """By the sweep that has lost them, and by whoever reads their results."""
    run_instances(ROWS[:4], "flow/step.py", workers=2, whole=True)
    assert "step: 0 to run, 4 up to date, 2 on disk without a row\n" in capsys.readouterr().err
    assert run_instances(SUMMARY, "flow/total.py")["reason"].tolist() == ["reads 2 instances of step that have no row"]
    assert capsys.readouterr().err.splitlines()[1:] == [
        "total: 1 row rests on results that have no row any more:",
        "  1  reads 2 instances of step that have no row  (all)",
        "  `ductaflow prune step` removes them, after asking; then run the conductor again",
    ]
    for name in ("one", "two"):
        run_notebook("flow/total.py", instance_name=name)
    assert capsys.readouterr().err.count("have no row any more:") == 1
    with pytest.warns(UserWarning, match=r"results of step include 2 instances that have no row any more: e, f \("):
        assert len(load_results("step")) == 6
    run_instances(SUMMARY, "flow/total.py", force=True)
    assert "include 2 instances that have no row any more" in (steps.root / "runs/total/all/run.log").read_text()
    assert steps.record("total", "all")["warnings"] == 1


def test_an_error_of_the_call_shows_the_call(project: Project) -> None:
    """Not the way through the runtime."""
    project.write_flow("flow/step.py", HEAD + "# %%\nprint(config['n'])\n")
    lines = ("import pandas as pd", "from ductaflow import run_instances", "rows = pd.DataFrame({'m': [1]})")
    project.write("conductor.py", "\n".join([*lines, "run_instances(rows, 'flow/step.py')"]))
    done = subprocess.run(
        [sys.executable, "conductor.py"], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("  File ") == 2
    assert 'conductor.py", line 4' in done.stderr
    assert "unknown parameter `m`" in done.stderr

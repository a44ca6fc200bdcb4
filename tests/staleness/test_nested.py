"""Flows that run other flows: what an inner instance read, and its flow, code and modules, count for the outer one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ductaflow import run_notebook
from ductaflow_runtime.runs.lock import locked
from tests.cli.test_commands import call
from tests.conftest import Project
from tests.staleness.test_tracking import plan, run

INNER = """
from ductaflow import project_path, save_results
from lib.rates import RATE
# how much it costs
fare = int(project_path("data/fare.txt").read_text())
save_results(cost=config["length"] * RATE + fare)
open("cost.txt", "w").write(str(fare))
"""
MIDDLE = """
from ductaflow import run_step_flow, save_results
record = run_step_flow("flow/inner.py", "inner", "short", {"length": 2})
save_results(middle=record.results["cost"])
"""
OUTER = {
    "run_step_flow": """
        from ductaflow import run_step_flow, save_results
        record = run_step_flow("flow/inner.py", "inner", "short", {"length": 2})
        save_results(cost=record.results["cost"])
        """,
    "run_instances": """
        import pandas as pd
        from ductaflow import run_instances, save_results
        frame = pd.DataFrame({"instance_name": ["short", "long"], "length": [2, 20]})
        save_results(cost=int(run_instances(frame, "flow/inner.py")["result.cost"][0]))
        """,
    "two-deep": """
        from ductaflow import run_step_flow, save_results
        save_results(cost=run_step_flow("flow/middle.py", "middle", "one").results["middle"])
        """,
}
# One after the other: what is edited, the reason, and what the outer then gives.
CHANGES = (
    (("data/fare.txt", "1", "3"), "input: data/fare.txt", 7),
    (("lib/rates.py", "2", "5"), "module: lib/rates.py", 13),
    (("flow/inner.py", "+ fare", "- fare"), "code: cell 2", 7),
    (("flow/inner.py", "- fare", "- fare + 0"), "code: cell 2", 7),
)


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def fill(project: Project, way: str = "run_step_flow") -> None:
    project.write("lib/rates.py", "RATE = 2\n")
    project.write("data/fare.txt", "1")
    project.flow(INNER, "flow/inner.py")
    project.flow(MIDDLE, "flow/middle.py")
    project.flow(OUTER[way])


def told(way: str, reason: str) -> str:
    """The reason of the outer instance, for one of the inner."""
    if way == "run_instances":
        return "; ".join(f"instance: inner/{name} ({reason})" for name in ("long", "short"))
    inner = f"instance: inner/short ({reason})"
    return f"instance: middle/one ({inner})" if way == "two-deep" else inner


def started(project: Project) -> dict[str, str]:
    steps = [("step", "one"), ("middle", "one"), ("inner", "short"), ("inner", "long")]
    return {s: project.record(s, n)["started"] for s, n in steps if (project.root / f"runs/{s}/{n}").exists()}


@pytest.mark.parametrize("way", OUTER)
def test_a_change_of_the_inner_runs_the_outer(project: Project, way: str) -> None:
    """It is told with the inner instance and what changed of it, executes once, and once only; a comment nothing."""
    fill(project, way)
    assert run()["result.cost"] == 5
    assert plan() is None
    for edited, reason, cost in CHANGES:
        edit(project, *edited)
        assert plan() == told(way, reason)
        assert run()["result.cost"] == cost
        assert plan() is None
    before = started(project)
    edit(project, "flow/inner.py", "# how much", "# what")
    assert plan() is None
    run()
    assert started(project) == before


@pytest.mark.engines("spawn", "kernel")
def test_the_same_on_other_engines(project: Project) -> None:
    """An inner instance is told by whatever process the flows above it run in."""
    fill(project, "two-deep")
    run()
    assert plan() is None
    edit(project, "lib/rates.py", "2", "5")
    assert plan() == told("two-deep", "module: lib/rates.py")
    assert run()["result.cost"] == 11
    assert plan() is None


def test_an_inner_that_was_up_to_date_counts_as_well(project: Project) -> None:
    """The outer did not execute it, but has its results."""
    fill(project)
    run_notebook("flow/inner.py", {"length": 2}, instance_name="short", step_name="inner")
    inner = project.record("inner", "short")["started"]
    run()
    assert project.record("inner", "short")["started"] == inner
    edit(project, "data/fare.txt", "1", "4")
    assert plan() == "instance: inner/short (input: data/fare.txt)"


@pytest.mark.engines("fork", "spawn")
def test_an_inner_that_ran_on_its_own_since(project: Project) -> None:
    """To other results, the outer runs again; to the same ones it does not."""
    fill(project)
    run()
    run_notebook("flow/inner.py", {"length": 2}, instance_name="short", step_name="inner", force=True)
    assert plan() is None
    edit(project, "data/fare.txt", "1", "4")
    run_notebook("flow/inner.py", {"length": 2}, instance_name="short", step_name="inner")
    assert plan() == "instance: inner/short (other results)"
    assert run()["result.cost"] == 8
    assert plan() is None


CATCHES = """
from ductaflow import DuctaflowError, run_notebook, save_results
try:
    cost = run_notebook("flow/inner.py", {"length": 2}, instance_name="short").results["cost"]
except DuctaflowError:
    cost = 0
save_results(cost=cost)
"""


def test_an_inner_that_could_not_begin(project: Project) -> None:
    """A flow that goes on without it runs again once it can: there is no record that could have changed."""
    fill(project)
    project.flow(CATCHES)
    (project.root / "lib/rates.py").unlink()
    assert run()["result.cost"] == 0
    assert not (project.root / "runs/inner/short/run.json").exists()
    project.write("lib/rates.py", "RATE = 2\n")
    assert (plan() or "").startswith("instance: inner/short (")
    assert run()["result.cost"] == 5
    assert plan() is None


def test_an_inner_that_somebody_else_was_executing(project: Project) -> None:
    """A row that was not waited for is no result: the outer flow, which went on without it, runs again."""
    fill(project)
    project.settings(wait=0)
    project.flow("""
        import pandas as pd
        from ductaflow import run_instances, save_results
        frame = pd.DataFrame({"instance_name": ["short", "long"], "length": [2, 20]})
        frame = run_instances(frame, "flow/inner.py", on_error="continue")
        save_results(cost=int((frame["status"] == "done").sum()))
        """)
    (project.root / "runs/inner/short").mkdir(parents=True)
    with locked(project.root / "runs/inner/short"):
        assert run()["result.cost"] == 1
    assert (plan() or "").startswith("instance: inner/short (")
    run_notebook("flow/inner.py", {"length": 2}, instance_name="short")
    assert (plan() or "").startswith("instance: inner/short (")
    run()
    assert plan() is None


LOSSES: dict[str, tuple[Callable[[Path], object], str]] = {
    "runs/inner/short/run.json": (Path.unlink, "damaged"),
    "runs/inner/short/cost.txt": (lambda path: path.write_text("9"), "output changed: cost.txt"),
    "flow/inner.py": (Path.unlink, "flow deleted: flow/inner.py"),
}


def test_an_inner_that_is_no_longer_whole(project: Project) -> None:
    """The outer's results stand for one that cannot be shown any more."""
    fill(project)
    run()
    for name, (lose, reason) in LOSSES.items():
        path = project.root / name
        text = path.read_text()
        lose(path)
        assert plan() == f"instance: inner/short ({reason})"
        path.write_text(text)
        assert plan() is None


def test_an_inner_that_fails_runs_the_outer_again(project: Project) -> None:
    """Also if the outer makes do with the failure: the next attempt may succeed."""
    fill(project)
    project.flow("""
        from ductaflow import FlowError, run_notebook
        try:
            run_notebook("flow/inner.py", {"length": 2}, instance_name="short", step_name="inner")
        except FlowError:
            pass
        """)
    edit(project, "lib/rates.py", "RATE", "WRONG")
    run()
    assert plan() == "instance: inner/short (failed)"
    edit(project, "lib/rates.py", "WRONG", "RATE")
    run()
    assert plan() is None


def test_accepting_an_outer(project: Project) -> None:
    """Its inner must be up to date; the outer is then declared to stand for its present results."""
    fill(project)
    run()
    edit(project, "data/fare.txt", "1", "4")
    run_notebook("flow/inner.py", {"length": 2}, instance_name="short", step_name="inner")
    call("accept", "step")
    assert plan() is None


def test_a_script_that_runs_a_flow(project: Project) -> None:
    """In script mode the same counts."""
    fill(project)
    project.write("config/base.json", "{}")
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/one"], check=True)
    assert plan() is None
    edit(project, "data/fare.txt", "1", "4")
    assert plan() == "instance: inner/short (input: data/fare.txt)"

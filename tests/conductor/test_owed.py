"""Rows that a sweep set out to execute and did not come to: their results are of values that the rows had before."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ductaflow import InstancesFailed, load_results, plan_instances, run_instances
from tests.cli.test_commands import call
from tests.conftest import Project

FLOW = """
    from ductaflow import save_results
    if config["x"] == 2 and config["bad"]:
        raise ValueError("x")
    save_results(y=config["x"])
    """


def rows(*values: int, bad: bool = False) -> pd.DataFrame:
    return pd.DataFrame({"instance_name": list("abcd")[: len(values)], "x": values}).assign(bad=bad)


def stale() -> dict[str, str | None]:
    found = load_results("step")
    return dict(zip(found["instance_name"], found["not_up_to_date"], strict=True))


@pytest.mark.filterwarnings("ignore:the results of step include")
def test_rows_that_a_stopped_sweep_did_not_begin(project: Project) -> None:
    """Results, status and plan know that their values have changed, until they are executed or wanted as they were."""
    project.flow(FLOW)
    run_instances(rows(1, 1, 1), "flow/step.py")
    assert not (project.root / "runs/.ductaflow/owed").exists()
    with pytest.raises(InstancesFailed):
        run_instances(rows(2, 2, 2, bad=True), "flow/step.py", workers=1, on_error="stop")
    changed = "config: x 1 -> 2; config: bad false -> true"
    assert plan_instances(rows(2, 2, 2, bad=True), "flow/step.py")["reason"].tolist()[1:] == [changed] * 2
    known = stale()
    assert {known["b"], known["c"]} == {f"not begun: {changed}"}
    assert f"not begun: {changed}" in call("status", "step")
    run_instances(rows(2, 2, 1), "flow/step.py")
    assert stale() == {"a": None, "b": None, "c": None}
    assert json.loads((project.root / "runs/step/c/config.json").read_text())["x"] == 1


def test_what_is_only_forced_is_not_owed(project: Project) -> None:
    """Its result is what an execution would give."""
    project.flow(FLOW)
    run_instances(rows(1, 1), "flow/step.py")
    run_instances(rows(1, 1), "flow/step.py", force=True)
    assert not (project.root / "runs/.ductaflow/owed").exists()

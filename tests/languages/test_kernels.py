"""Which kernel executes a flow, and what follows for staleness."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ductaflow import plan_instances, run_instances, run_notebook
from tests.conftest import HEAD, KERNEL, Project

ROWS = pd.DataFrame({"instance_name": ["x", "y"], "n": [1, 2]})
NAMED = (
    "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: x\n#     language: python\n#     name: theirs\n# ---\n\n"
)
BODY = "# %%\nfrom ductaflow import save_results\n\nsave_results(n=config['n'])\n"


def test_a_python_kernel_that_is_not_installed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook from another machine runs in this Python, and one line says so, however many rows there are."""
    project.write("flow/step.py", NAMED + HEAD + BODY)
    frame = run_instances(ROWS, "flow/step.py")
    assert list(frame["result.n"]) == [1, 2]
    told = [line for line in capsys.readouterr().err.splitlines() if "theirs" in line]
    assert told == ["ductaflow: the flow names the kernel 'theirs', which is not installed here; runs in this Python"]
    assert project.record("step", "x")["fingerprint"]["kernel"] == "python3"


@pytest.mark.slow
def test_another_kernel_is_a_reason(project: Project) -> None:
    """Another environment can give other numbers, so what another kernel gave is not up to date."""
    project.flow(BODY)
    run_instances(ROWS, "flow/step.py")
    assert plan_instances(ROWS, "flow/step.py", kernel_name="python3")["reason"].tolist() == [None, None]
    reasons = plan_instances(ROWS, "flow/step.py", kernel_name=KERNEL)["reason"].tolist()
    assert reasons == [f"kernel: python3 -> {KERNEL}"] * 2
    frame = run_instances(ROWS, "flow/step.py", kernel_name=KERNEL)
    assert list(frame["result.n"]) == [1, 2]
    assert frame["reason"].tolist() == reasons
    assert plan_instances(ROWS, "flow/step.py")["reason"].tolist() == [f"kernel: {KERNEL} -> python3"] * 2


def test_a_record_of_a_version_that_did_not_note_the_kernel_is_up_to_date(project: Project) -> None:
    """Nobody knows which kernel it was: nothing is executed again for that."""
    project.flow(BODY)
    path = run_notebook("flow/step.py", {"n": 1}, instance_name="x").directory / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["fingerprint"]["kernel"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert run_notebook("flow/step.py", {"n": 1}, instance_name="x").skipped

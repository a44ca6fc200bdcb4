"""The line that a sweep begins with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances
from ductaflow_runtime.conductor.observers import announce
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.staleness.decision import BUSY, Plan
from tests.conftest import Project

SOME = Instance(Path(), "cost", "a", {}, Path())


def plans(*reasons: str | None) -> list[Plan]:
    return [Plan(SOME, None, reason) for reason in reasons]


@pytest.mark.parametrize(
    ("reasons", "refreshed", "line"),
    [
        ([], 0, "cost: 0 to run, 0 up to date"),
        (["new"] * 3, 0, "cost: 3 to run (3 new), 0 up to date"),
        ([None] * 80, 80, "cost: 0 to run, 80 refreshed"),
        ([None] * 80, 3, "cost: 0 to run, 3 refreshed, 77 up to date"),
        (["new", BUSY, None], 0, "cost: 1 to run (1 new), 1 running in another process, 1 up to date"),
        (
            ["failed; config: pop removed (was 0.1); code: cell 2", "failed", "failed"],
            0,
            "cost: 3 to run (2 failed | 1 failed; config: pop removed (was 0.1); code: cell 2), 0 up to date",
        ),
        (
            ["new", "new", "new", "forced", "forced", "failed", "interrupted", "code"],
            0,
            "cost: 8 to run (3 new | 2 forced | 1 failed | 2 for other reasons), 0 up to date",
        ),
        (["x" * 200], 0, f"cost: 1 to run (1 {'x' * 97}...), 0 up to date"),
    ],
)
def test_the_line(reasons: list[str | None], refreshed: int, line: str) -> None:
    """Groups of rows with one reason are told apart from the causes in a reason."""
    assert announce("cost", plans(*reasons), refreshed) == line


def test_a_sweep_that_only_refreshes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that got new text around their outputs are called what their status is."""
    flow = project.flow("# %%\n# one\nprint(config['n'])\n")
    frame = pd.DataFrame({"n": range(3)})
    run_instances(frame, "flow/step.py")
    assert capsys.readouterr().err.startswith("step: 3 to run (3 new), 0 up to date\n")
    flow.write_text(flow.read_text().replace("# one", "# two"))
    run_instances(frame, "flow/step.py")
    assert capsys.readouterr().err == "step: 0 to run, 3 refreshed\n"

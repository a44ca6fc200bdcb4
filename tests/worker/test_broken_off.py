"""A worker that is killed between the instance's beginning and its flow's: nothing has been executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ductaflow import run_notebook
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.worker import dispatch
from ductaflow_runtime.worker.process import BrokenOffError
from tests.conftest import Project


class KilledWorker:
    """A worker that was killed after its child had told this much."""

    def __init__(self, journal: Path, told: list[dict[str, object]]) -> None:
        self.journal = journal
        journal.write_text("".join(json.dumps(entry) + "\n" for entry in told))

    def has_begun(self) -> bool:
        return True

    def run(self, _: Job) -> dict[str, object]:
        raise BrokenOffError("the worker broke off")


@pytest.mark.parametrize(
    "told",
    [[{"started": "2030-01-01T00:00:00.000+00:00"}], [{"closed": True, "up to date": True, "imported": []}]],
    ids=["begun", "up to date"],
)
def test_it_is_tried_again(project: Project, told: list[dict[str, object]]) -> None:
    """The record is that of an earlier execution: the row does not say failed of it, another worker executes it."""
    flow = project.flow("print('here')")
    run_notebook("flow/step.py", {}, instance_name="x")
    before = project.record("step", "x")
    runs = str(project.root / "runs")
    job = Job(root=str(project.root), runs_dir=runs, flow=str(flow), step="step", name="x", config={})
    with pytest.raises(BrokenOffError):
        dispatch._have_done(job, KilledWorker(project.root / "journal", told))  # type: ignore[arg-type]
    assert project.record("step", "x") == before

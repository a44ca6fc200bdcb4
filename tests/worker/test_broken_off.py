"""A worker, or an instance's process, that is killed before the flow begins: nothing has been executed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ductaflow import run_notebook
from ductaflow_runtime.execution.assignment import Clock
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.worker import dispatch
from ductaflow_runtime.worker.child import Child
from ductaflow_runtime.worker.commands import Commands
from ductaflow_runtime.worker.journal import FILE_NAME
from ductaflow_runtime.worker.preload import Preloader
from ductaflow_runtime.worker.process import BrokenOffError
from ductaflow_runtime.worker.server import Server
from ductaflow_runtime.worker.supervise import ChildEnd
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


class WorkerOfKilled:
    """A worker whose child was killed after it had told as much as is in the journal."""

    def __init__(self, journal: Path, *, timed_out: bool = False) -> None:
        self.journal = journal
        self.end = ChildEnd(-signal.SIGKILL, timed_out=timed_out)

    def run(self, job: Job) -> dict[str, object]:
        child = Child(job, self.journal.parent, {}, Clock.start(job.timeout), os.getpid())
        server = Server(self.journal.parent, Commands(0, None), 1, Preloader(self.journal))
        return server._settle(child, self.end)


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
    journal = KilledWorker(project.root / FILE_NAME, told[:1]).journal
    if "started" not in told[0]:
        journal.unlink()
    with pytest.raises(BrokenOffError, match="step/x could not be executed: the process was killed by SIGKILL"):
        dispatch._have_done(job, WorkerOfKilled(journal))  # type: ignore[arg-type]
    assert project.record("step", "x") == before


def test_a_time_limit_that_passes_before_it_begins_is_told_as_such(project: Project) -> None:
    """On a machine that is overloaded, a fresh interpreter may not come to the flow in time."""
    flow = project.flow("print('here')")
    runs = str(project.root / "runs")
    job = Job(root=str(project.root), runs_dir=runs, flow=str(flow), step="step", name="x", config={}, timeout=2)
    told = WorkerOfKilled(project.root / FILE_NAME, timed_out=True).run(job)["fatal"]
    assert isinstance(told, dict)
    assert (told["type"], told["message"]) == ("Timeout", "timed out after 2 s")

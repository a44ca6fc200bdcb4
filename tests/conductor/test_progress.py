"""What a sweep says of itself where nobody watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.progress import Progress
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.states import Status

SOME = Instance(Path(), "cost", "a", {}, Path())


@pytest.fixture(scope="session")
def engine() -> str:
    """It makes no difference here."""
    return "fork"


def test_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, a log shows every 30 seconds how far the sweep is and how long it will take."""
    moment = 0.0
    progress = Progress(Project(Path(), Path()), "cost", clock=lambda: moment)
    progress.waited()
    progress.begun(total=1000, workers=2)
    for seconds in range(1, 65):
        moment = float(seconds)
        progress.ended(Outcome(Status.DONE, SOME))
        progress.waited()
    moment = 4000.0
    progress.waited()
    assert capsys.readouterr().err.splitlines() == [
        "cost: 30 of 1000 after 30 s, about 16 min 10 s left",
        "cost: 60 of 1000 after 1 min 0 s, about 15 min 40 s left",
        "cost: 64 of 1000 after 1 h 6 min, about 16 h 15 min left",
    ]


def test_failures_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A line tells how many have failed, and says nothing of the time while nothing has ended."""
    moment = 0.0
    progress = Progress(Project(Path(), Path()), "cost", clock=lambda: moment)
    progress.begun(total=3, workers=2)
    moment = 31.0
    progress.waited()
    progress.ended(Outcome(Status.FAILED, SOME))
    moment = 62.0
    progress.waited()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "cost: 0 of 3 after 31 s"
    assert told[-1] == "cost: 1 of 3 after 1 min 2 s, 1 failed, about 2 min 4 s left"

"""What a sweep says while it runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ductaflow_runtime.conductor import progress
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.conductor.progress import Progress, duration
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan


class Clock:
    """A clock that somebody sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def instance(root: Path, name: str) -> Instance:
    return Instance(root / "flow/fit.py", "fit", name, {}, root / "runs")


def plan(root: Path, name: str, last_s: float | None = None) -> Plan:
    """A row that must run, and how long it took the last time."""
    record = None if last_s is None else Record(status=Status.DONE, duration_s=last_s)
    return Plan(instance(root, name), record, "new")


def done(root: Path, name: str, seconds: float) -> Outcome:
    return Outcome(Status.DONE, instance(root, name), "new", Record(status=Status.DONE, duration_s=seconds))


@pytest.fixture
def sweep(tmp_path: Path, clock: Clock) -> Callable[..., Progress]:
    """A sweep of rows with two workers, of which some are running."""

    def begin(plans: list[Plan], running: list[str]) -> Progress:
        told = Progress(Project.at(tmp_path), "fit", clock)
        told.planned(plans, 0)
        told.begun(len(plans), 2, lambda: [instance(tmp_path, name) for name in running])
        return told

    return begin


def test_a_log_file_gets_a_line_every_30_seconds(
    tmp_path: Path, clock: Clock, sweep: Callable[..., Progress], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal: none before 30 s; then how many are done, how long it has taken, and what takes longest."""
    running = ["a", "b"]
    told = sweep([plan(tmp_path, name) for name in "abcdef"], running)
    for clock.seconds in (1.0, 29.0, 31.0, 32.0):
        told.waited()
    running[:] = ["b", "c"]
    told.ended(done(tmp_path, "a", 35.0))
    log = tmp_path / "runs/fit/b/run.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01T00:00:00.000Z out | epoch 3 of 10\n")
    for clock.seconds in (50.0, 62.0, 70.0):
        told.waited()
    told.finished()
    assert capsys.readouterr().err.splitlines() == [
        "fit: 0 of 6, 0 failed, 2 running, 0:31",
        "fit: 1 of 6, 0 failed, 2 running, 1:02, about 1:12 left; longest: b 0:31 (epoch 3 of 10)",
    ]


@pytest.mark.parametrize(("at", "left"), [(0.0, "1:00"), (20.0, "0:50")])
def test_the_estimate_comes_from_the_last_durations(
    tmp_path: Path, clock: Clock, sweep: Callable[..., Progress], at: float, left: str
) -> None:
    """Before the first row has ended: from what the rows took before, less what is running has spent."""
    told = sweep([plan(tmp_path, "a", 100.0), plan(tmp_path, "b", 20.0)], ["a"])
    told._look(0.0)
    clock.seconds = at
    assert f"about {left} left" in told.text()


def test_nothing_is_estimated_from_nothing(tmp_path: Path, sweep: Callable[..., Progress]) -> None:
    """As long as a row has never run, and none has ended, nobody knows."""
    assert "left" not in sweep([plan(tmp_path, "a", 100.0), plan(tmp_path, "b")], []).text()


def test_a_terminal_shows_how_time_goes_by(
    tmp_path: Path, clock: Clock, sweep: Callable[..., Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is drawn anew although no row ends."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    told = sweep([plan(tmp_path, name) for name in "ab"], ["a", "b"])
    for clock.seconds in (0.1, 36.0):
        told.waited()
    told.finished()
    last = screen.getvalue().split("\r")[-1]
    assert last.startswith("fit: 0/2 |")
    assert "0 failed, 2 running, 0:36" in last


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3600, "1:00:00"), (7325, "2:02:05")])
def test_times(seconds: float, text: str) -> None:
    """Minutes and seconds, with hours where there are some."""
    assert duration(seconds) == text


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    """A long one is cut; without a log there is none."""
    one = instance(tmp_path, "a")
    assert progress._last_line(one) == ""
    one.directory.mkdir(parents=True)
    (one.directory / "run.log").write_text("t out | " + "x" * 9000 + "\nt out | " + "y" * 100 + "\n")
    assert progress._last_line(one) == "y" * 57 + "..."
    waiting = "waiting for 1 thread that the flow left: Thread-3 (poll)"
    (one.directory / "run.log").write_text(f"t err | ductaflow: {waiting}\n")
    assert progress._last_line(one) == waiting

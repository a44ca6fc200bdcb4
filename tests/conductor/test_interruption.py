"""Ctrl-C and a notebook's stop button, seen by whoever broke it off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances, run_notebook
from ductaflow_runtime.conductor.interruption import Interruption
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from tests.conftest import Project
from tests.waiting import wait_for

FRAME = pd.DataFrame({"instance_name": list("abcd"), "wait": [0, 600, 600, 0]})


def interrupted(project: Project, name: str = "b", times: int = 1) -> threading.Thread:
    """Somebody who interrupts this process once an instance has printed something; again after half a second."""

    def interrupt() -> None:
        log = project.root / "runs/step" / name / "run.log"
        wait_for(lambda: log.exists() and "waiting" in log.read_text())
        for number in range(times):
            time.sleep(0.5 * number)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


@pytest.fixture
def waiting(project: Project) -> Project:
    project.flow("# %%\nimport time\nprint('waiting', flush=True)\ntime.sleep(config['wait'])\n")
    return project


def test_what_is_done_what_was_broken_off_and_what_to_do(waiting: Project) -> None:
    """Three lines, in place of a traceback where the exception is shown; what is done is not executed again."""
    thread = interrupted(waiting)
    with pytest.raises(KeyboardInterrupt) as caught:
        run_instances(FRAME, "flow/step.py", workers=1)
    thread.join()
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["step: stopped; 1 of 4 rows done", "broken off: 1 (b); not begun: 2"]
    assert lines[2].startswith("to go on")
    assert caught.value._render_traceback_() == lines  # type: ignore[attr-defined]
    assert waiting.record("step", "b")["status"] == "interrupted"
    frame = run_instances(FRAME.assign(wait=[0, 0, 0, 0]), "flow/step.py")
    assert frame["status"].tolist() == ["up to date", "done", "done", "done"]


DEAF = """
# %%
import signal, time

signal.signal(signal.SIGINT, signal.SIG_IGN)
print("waiting", flush=True)
time.sleep(600)
"""


def test_a_second_time(project: Project) -> None:
    """Somebody who does not wait until a flow has ended is told the same."""
    project.flow(DEAF)
    thread = interrupted(project, "x", times=2)
    with pytest.raises(KeyboardInterrupt, match="broken off: 1 \\(x\\); not begun: 0"):
        run_notebook("flow/step.py", {}, instance_name="x")
    thread.join()


def test_a_single_instance(waiting: Project) -> None:
    """`run_notebook` says the same."""
    thread = interrupted(waiting, "x")
    with pytest.raises(KeyboardInterrupt, match="broken off: 1 \\(x\\); not begun: 0"):
        run_notebook("flow/step.py", {"wait": 600}, instance_name="x")
    thread.join()


CATCHES = """
# %%
import time
from ductaflow import save_results

steps = 0
try:
    print("waiting", flush=True)
    time.sleep(config["wait"])
    steps = 1
except KeyboardInterrupt:
    print("the best so far", flush=True)

# %%
save_results(steps=steps)
"""


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_flow_that_catches_it(project: Project) -> None:
    """Its next cell does not begin, and what it has is no result: the instance runs again."""
    project.flow(CATCHES)
    thread = interrupted(project, "x")
    with pytest.raises(KeyboardInterrupt, match="broken off: 1"):
        run_notebook("flow/step.py", {"wait": 600}, instance_name="x")
    thread.join()
    record = project.record("step", "x")
    assert (record["status"], record["results"]) == ("interrupted", {})
    assert (record["error"]["type"], record["error"]["cell"]) == ("Interrupted", 3)
    assert "the best so far" in (project.root / "runs/step/x/run.log").read_text()
    assert run_notebook("flow/step.py", {"wait": 0}, instance_name="x").results == {"steps": 1}


def test_a_script_that_catches_it(project: Project) -> None:
    """It goes on to its end, as Python has it; its record says that it was interrupted."""
    project.write("config/base.json", '{"wait": 600}')
    project.flow(CATCHES)
    command = [sys.executable, "flow/step.py", "--output-dir", "runs/step/x"]
    listens = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - not in a shell's background
    script = subprocess.Popen(command, cwd=project.root, preexec_fn=listens, text=True)
    log = project.root / "runs/step/x/run.log"
    wait_for(lambda: log.exists() and "waiting" in log.read_text(), by=script)
    script.send_signal(signal.SIGINT)
    assert script.wait() == 0
    record = project.record("step", "x")
    assert (record["status"], record["error"]["type"]) == ("interrupted", "Interrupted")
    assert run_notebook("flow/step.py", {"wait": 0}, instance_name="x").results == {"steps": 1}


def test_before_anything_runs() -> None:
    """There is nothing to count."""
    assert Interruption("step").lines()[0] == "step: stopped before anything ran"


def test_what_another_process_has_done_is_counted(tmp_path: Path) -> None:
    """The numbers add up where two processes execute the same rows."""
    rows = [Instance(tmp_path / "fit.py", "fit", name, {}, tmp_path) for name in "abcdefg"]
    told = Interruption("fit")
    told.planned([Plan(row, None, None if row.name == "a" else "new") for row in rows], 0)
    for row, status in zip(rows[1:], [Status.DONE, Status.UP_TO_DATE, Status.UP_TO_DATE], strict=False):
        told.ended(Outcome(status, row))
    told.broken_off(["e"])
    assert told.lines()[:2] == [
        "fit: stopped; 1 of 6 rows done, 2 done by another process, 1 were up to date",
        "broken off: 1 (e); not begun: 2",
    ]

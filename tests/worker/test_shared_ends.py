"""Shared cells that fail, die or never end are told in each instance; an interrupt ends them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ductaflow import InstancesFailed
from tests.conftest import Project
from tests.waiting import wait_for
from tests.worker.conductors import RUNS_ONE, interrupt, start
from tests.worker.shared_cells import TOKEN, outputs, sweep, write

pytestmark = pytest.mark.usefixtures("steady_packages")

# As native code does, which nobody sees.
TELLS = "import ctypes\nctypes.CDLL(None).creat({!r}.encode(), 0o644)\n"


def test_their_error_is_that_of_every_instance(project: Project) -> None:
    """It is told with its cell in each record and notebook, and nowhere executed again; the next call tries anew."""
    write(project, "X = 1", f"{TOKEN}raise ValueError(token)")
    with pytest.raises(InstancesFailed) as caught:
        sweep()
    records = [project.record("step", f"r{n}") for n in range(3)]
    assert {(record["error"]["type"], record["error"]["cell"]) for record in records} == {("ValueError", 2)}
    assert len({record["error"]["message"] for record in records}) == 1
    assert records[0]["error"]["message"] in (project.root / "runs/step/r2/run.log").read_text()
    assert "raise ValueError(token)" in str(caught.value)
    assert outputs(project, "r1")[3][0] is None, "nothing is executed after it"
    frame = sweep(on_error="continue")
    assert records[0]["error"]["message"] not in frame["error"][0]
    write(project, "X = 1", TOKEN)
    assert sweep()["status"].eq("done").all()


def test_the_time_limit(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """They have as much time as an instance; where that is over, each instance says so itself."""
    write(project, f"{TOKEN}import time\ntime.sleep(600)")
    frame = sweep(rows=1, on_error="continue", timeout=1.5)
    assert "timed out after 1.5 s" in frame["error"][0]
    assert "takes longer than the time limit of 1.5 s" in capfd.readouterr().err


def test_their_death(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """A process that ends in them is told as each instance's own death."""
    write(project, "import os\nos._exit(3)", rest="# %%\nprint(config['n'])\n")
    frame = sweep(on_error="continue")
    assert frame["error"].str.contains("exit code 3").all()
    assert capfd.readouterr().err.count("executing the shared cells of flow/step.py ends badly") == 1


def test_ctrl_c_ends_them(project: Project) -> None:
    """An interrupt does not wait for them; nothing has begun."""
    marker = project.root / "begun"
    write(project, f"{TELLS.format(str(marker))}import time\ntime.sleep(600)")
    conductor = start(project, RUNS_ONE.replace("{}", "{'n': 1}"), stderr=subprocess.PIPE)
    wait_for(marker.is_file, by=conductor)
    told = interrupt(conductor)
    assert "0 of 1 rows done" in told
    assert "shared cells" not in told
    assert not (project.root / "runs/step/x/run.json").exists()


def test_they_end_with_a_killed_conductor(project: Project) -> None:
    """The process that executes them does not compute on for nobody."""
    marker = project.root / "begun"
    write(project, f"{TELLS.format(str(marker))}import time\ntime.sleep(600)")
    conductor = start(project, RUNS_ONE.replace("{}", "{'n': 1}"), stderr=subprocess.PIPE)
    wait_for(marker.is_file, by=conductor)
    tasks = list(Path(f"/proc/{conductor.pid}/task").iterdir())
    bases = [pid for task in tasks for pid in (task / "children").read_text().split()]
    assert bases
    conductor.kill()
    conductor.communicate()
    wait_for(lambda: not any(_runs(pid) for pid in bases))


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

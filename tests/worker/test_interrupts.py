"""Interrupts and time limits reach the flow wherever it is, and never cost the notebook or the record."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import psutil
import pytest

from ductaflow import FlowError, run_instances, run_notebook
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.worker.pool import pool
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S, wait_for
from tests.worker.conductors import interrupt, start
from tests.worker.limits import run_out_of_time

SHORT_CELLS = "".join(f"# %%\nprint({number})\nimport time; time.sleep(0.002)\n" for number in range(800))
SHORT_CELLS += "# %%\ntime.sleep(600)\n"  # on whatever machine


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("body", [SHORT_CELLS, "# %%\nwhile True: print('x' * 50)\n"], ids=["cells", "prints"])
def test_a_timeout_keeps_notebook_and_cell(project: Project, engine: str, body: str) -> None:
    """Between cells, or in the middle of a print: the record says Timeout and where, the notebook is there."""
    project.flow(body)
    run_out_of_time(project, engine, lambda: (project.record("step", "x")["error"]["cell"] or 0) >= 3)
    assert project.record("step", "x")["error"]["type"] == "Timeout"
    assert project.notebook("step", "x")["cells"]
    assert "ductaflow: timed out after" in (project.root / "runs/step/x/run.log").read_text()


SWEEP = """\
import pandas as pd
from ductaflow import run_instances
print('ready', flush=True)
run_instances(pd.DataFrame({'n': range(1000)}), 'flow/step.py', workers=2)
"""


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("begun", [0, 1, 2])
def test_ctrl_c_ends_a_large_sweep_soon(project: Project, begun: int) -> None:
    """Whenever it comes, Ctrl-C starts nothing more, and what ran says interrupted."""
    project.flow("# %%\nimport time\ntime.sleep(600 + config['n'])\n")
    conductor = start(project, SWEEP, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert conductor.stdout is not None
    conductor.stdout.readline()
    wait_for(lambda: len(list(project.root.glob("runs/step/*/run.json"))) >= begun, by=conductor)
    told = interrupt(conductor)
    if begun:
        *_, done, broken_off, advice = told.splitlines()
        assert done.startswith("step: stopped; 0 of 1000 rows done")
        assert broken_off.startswith("broken off: ")
        assert advice == f"to go on: python {project.root / 'conductor.py'}   (what is done is kept)"
        assert "Traceback" not in told
    folders = list(project.root.glob("runs/step/*/run.json"))
    assert len(folders) <= 2
    assert {project.record("step", path.parent.name)["status"] for path in folders} <= {"interrupted"}


@pytest.mark.engines("fork", "spawn")
def test_a_background_process_may_print_on(project: Project) -> None:
    """A process that prints without end does not hold up the cells, and ends with the instance."""
    project.flow(
        """
        # %%
        import subprocess
        process = subprocess.Popen(["yes"])
        open("pid", "w").write(str(process.pid))
        # %%
        print("next")
        """
    )
    record = run_notebook("flow/step.py", {}, instance_name="x", timeout=LAST_CHANCE_S)
    assert record.status == "done"
    assert not psutil.pid_exists(int((record.directory / "pid").read_text()))


@pytest.mark.engines("fork", "spawn")
def test_a_copy_of_the_process_is_not_the_flow(project: Project) -> None:
    """After os.fork() in a cell, the copy does not go on to write the record."""
    project.flow(
        "# %%\nimport os\ncopy = os.fork()\nif copy: os.waitpid(copy, 0)\n"
        "# %%\nopen(f'{os.getpid()}.txt', 'w').close()\n"
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert len(record.outputs) == 1


KILLS_ITS_WORKER = """
# %%
import os, time
if config["kill"]:
    os.kill(os.getppid(), 9)
    time.sleep(600)
open("out.txt", "w").write("x")
"""


@pytest.mark.engines("fork", "spawn")
def test_a_dead_worker_claims_nothing(project: Project) -> None:
    """Files that somebody put into the folder survive the death of a worker and the next execution."""
    project.flow(KILLS_ITS_WORKER)
    notes = project.write("runs/step/x/notes.txt", "precious")
    with pytest.raises(FlowError, match="SIGKILL"):
        run_notebook("flow/step.py", {"kill": True}, instance_name="x")
    assert project.record("step", "x")["error"]["type"] == "Died"
    record = run_notebook("flow/step.py", {"kill": False}, instance_name="x")
    assert set(record.outputs) == {"out.txt"}
    assert notes.read_text() == "precious"


@pytest.mark.engines("fork", "spawn")
def test_a_warm_worker_that_died_is_replaced(project: Project) -> None:
    """A worker that is killed between two calls costs no row."""
    project.flow("# %%\nprint(config['n'])\n")
    run_instances(pd.DataFrame({"n": [0]}), "flow/step.py", workers=1)
    for process in psutil.Process(os.getpid()).children():
        if "ductaflow_runtime.worker" in process.cmdline():
            process.kill()
            process.wait()
    assert (run_instances(pd.DataFrame({"n": [1, 2]}), "flow/step.py", workers=1)["status"] == "done").all()
    pool().close()


WAITS_TO_GO_ON = """
# %%
import os, time
open("here", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
"""


@pytest.mark.engines("fork", "spawn")
def test_a_refused_instance_leaves_the_other_ones_record_alone(project: Project) -> None:
    """One that is refused because another process executes it writes nothing into its folder."""
    from ductaflow import InstanceBusyError
    from ductaflow_runtime.worker.dispatch import run_job

    flow = project.flow(WAITS_TO_GO_ON)
    other = start(project)
    here = project.root / "runs/step/x/here"
    wait_for(here.is_file, by=other)
    runs = str(project.root / "runs")
    with pytest.raises(InstanceBusyError):
        run_job(Job(root=str(project.root), runs_dir=runs, flow=str(flow), step="step", name="x", config={}))
    assert project.record("step", "x")["status"] == "running"
    here.with_name("go").touch()
    assert other.wait() == 0
    assert project.record("step", "x")["status"] == "done"
    assert Path(here).is_file()

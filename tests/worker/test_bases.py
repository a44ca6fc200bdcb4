"""One base process imports for all workers of a flow; they are its forks, and outlive it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

from ductaflow import run_instances, run_notebook
from ductaflow_runtime.worker.pool import pool
from tests.conftest import Project
from tests.waiting import wait_for
from tests.worker.conductors import interrupt, start
from tests.worker.conftest import PACKAGE

pytestmark = pytest.mark.usefixtures("steady_packages")

TELLS = """
import os, time
from ductaflow import save_results
save_results(loaded=tiny.LOADED_BY, worker=os.getppid(), n=config["n"])
open("here", "w").close()
while len([name for name in os.listdir("..") if os.path.exists(f"../{name}/here")]) < 3:
    time.sleep(0.01)
"""


def bases() -> list[psutil.Process]:
    """The base processes of this process."""
    return [one for one in psutil.Process(os.getpid()).children() if "--base" in one.cmdline()]


def test_a_package_is_loaded_once_for_all_workers(project: Project, install: Callable[..., str]) -> None:
    """Three workers at once have what one process has imported, which is none of them."""
    project.flow(f"# %%\nimport {install()} as tiny{TELLS}")
    frame = run_instances(pd.DataFrame({"n": range(3)}), "flow/step.py", workers=3)
    assert frame["result.worker"].nunique() == 3
    assert frame["result.loaded"].nunique() == 1
    assert frame["result.loaded"][0] in {one.pid for one in bases()}


def test_a_forced_run_needs_no_other_base(project: Project) -> None:
    """Where nothing is imported ahead, there is nothing that a forced run would have to import anew."""
    project.flow("# %%\nimport os\nfrom ductaflow import save_results\nsave_results(worker=os.getppid())\n")
    first, second = (run_notebook("flow/step.py", instance_name="x", force=True).results for _ in range(2))
    assert first == second


WAITS = """
# %%
import os, time
open("pids", "w").write(f"{os.getpid()} {os.getppid()}")
while not os.path.exists("go"):
    time.sleep(0.01)
"""


def test_an_instance_outlives_its_base(project: Project) -> None:
    """A base that is killed costs no row: its workers know the conductor, and the next one has a base of its own."""
    pool().close()
    project.flow(
        """
        # %%
        import os
        base = int(open(f"/proc/{os.getppid()}/stat").read().split()[3])
        if config["n"] % 2:
            os.kill(base, 9)
        """
    )
    for n in range(2):
        assert run_notebook("flow/step.py", {"n": n}).status == "done"
    frame = run_instances(pd.DataFrame({"n": range(2, 6)}), "flow/step.py", workers=2)
    assert frame["status"].eq("done").all()


def test_nothing_is_left_of_an_ended_pool(project: Project) -> None:
    """Bases and workers end when they are told to."""
    project.flow("# %%\nprint(config['n'])\n")
    run_instances(pd.DataFrame({"n": range(4)}), "flow/step.py", workers=2)
    started = [one for base in bases() for one in (base, *base.children())]
    assert len(started) >= 2
    pool().close()
    wait_for(lambda: not any(map(psutil.Process.is_running, started)))


def test_a_base_ends_with_its_conductor(project: Project) -> None:
    """A conductor that is killed leaves neither the base nor what it has forked."""
    project.flow(WAITS)
    parent = start(project)
    pids = project.root / "runs/step/x/pids"
    wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == 2, by=parent)
    started = psutil.Process(parent.pid).children(recursive=True)
    assert len(started) == 3
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(map(psutil.Process.is_running, started)))


def test_ctrl_c_does_not_wait_for_an_import(project: Project, install: Callable[..., str]) -> None:
    """Nothing has begun as long as the base imports, and nothing does then."""
    marker = project.root / "importing"
    name = install(f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\ntime.sleep(50)\n{PACKAGE}")
    project.flow(f"# %%\nimport {name} as tiny\n")
    conductor = start(project, stderr=subprocess.PIPE)
    wait_for(marker.is_file, by=conductor)
    told = interrupt(conductor)
    assert "0 of 1 rows done" in told
    assert name not in told
    assert not Path(project.root, "runs/step/x/run.json").exists()

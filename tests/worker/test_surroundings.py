"""What surrounds a conductor, its workers and its folders makes no difference to how they run and end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ductaflow import run_notebook
from ductaflow_runtime.worker.fitness import installed_state
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S
from tests.worker.conductors import RUNS_ONE, start

DEVICE = Path("/proc/kmsg")  # a regular file by its kind, which waits for the next message of the system


def test_where_ended_children_are_not_told(project: Project) -> None:
    """Whoever started the conductor may have ignored their signal; how an instance ended is known all the same."""
    project.flow("# %%\nprint('here')\n")
    ignores = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    conductor = start(project, ignores + RUNS_ONE, stderr=subprocess.PIPE)
    told = conductor.communicate(timeout=LAST_CHANCE_S)[1]
    assert conductor.returncode == 0, told
    assert project.record("step", "x")["status"] == "done"


def test_a_process_that_the_conductor_has_forked_does_not_hold_it_up(project: Project) -> None:
    """It keeps the pipes to the workers open, which end all the same, at once."""
    project.flow("# %%\nprint('here')\n")
    forks = "import os, time\nother = os.fork()\nif not other:\n    time.sleep(60)\nprint(other, flush=True)\n"
    conductor = start(project, f"{RUNS_ONE}{forks}", stdout=subprocess.PIPE)
    assert conductor.stdout is not None
    with conductor.stdout as told:
        other = int(told.readline())
    try:
        began = time.monotonic()
        conductor.wait(timeout=LAST_CHANCE_S)
        assert time.monotonic() - began < 9, "the patience with one worker that does not end"
    finally:
        os.kill(other, signal.SIGKILL)


@pytest.mark.skipif(not DEVICE.is_file(), reason="the system has no such file")
def test_a_link_to_a_device_is_not_read(project: Project) -> None:
    """It is in the instance's folder, and no output whose bytes count."""
    project.flow(f"# %%\nimport os\nos.symlink({str(DEVICE)!r}, 'kernel.log')\nopen('made.txt', 'w').write('x')\n")
    record = run_notebook("flow/step.py", {}, instance_name="x", timeout=30)
    assert list(record.outputs) == ["made.txt"]
    assert run_notebook("flow/step.py", {}, instance_name="x").skipped


def test_a_package_in_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is upgraded there is another one; other files that come and go there are none."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "tiny-1.dist-info").mkdir()
    before = installed_state()
    (tmp_path / "notes.txt").write_text("x")
    assert installed_state() == before
    shutil.rmtree(tmp_path / "tiny-1.dist-info")
    (tmp_path / "tiny-2.dist-info").mkdir()
    assert installed_state() != before

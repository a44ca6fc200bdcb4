"""What a program does at its end belongs to the instance: it is waited for, kept, and in the record."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from ductaflow import run_notebook
from tests.conftest import Project

LATE = """
# %%
import atexit, gzip, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

never_closed = open("unclosed.txt", "w")
never_closed.write("data that matters\\n")
packed = gzip.open("packed.gz", "wt")
packed.write("also this")

def late(name):
    time.sleep(0.3)
    open(name, "w").write("x")

ThreadPoolExecutor(1).submit(late, "future.txt")
threading.Thread(target=late, args=["thread.txt"]).start()
atexit.register(lambda: (open("atexit.txt", "w").write("x"), print("good bye")))
folder = tempfile.TemporaryDirectory()
open("where", "w").write(folder.name)
"""
SIZES = {"unclosed.txt": 18, "future.txt": 1, "thread.txt": 1, "atexit.txt": 1}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_what_python_finishes_at_exit_is_kept(project: Project, engine: str) -> None:
    """Open files are written out, threads are waited for, exit handlers run, before the record is made."""
    project.flow(LATE)
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert {name: record.outputs[name]["size"] for name in SIZES} == SIZES
    assert gzip.decompress((record.directory / "packed.gz").read_bytes()) == b"also this"
    assert not Path((record.directory / "where").read_text()).exists()
    if engine != "kernel":  # a real kernel has closed its output by then
        assert "out | good bye" in record.log.read_text()
    assert run_notebook("flow/step.py", {}, instance_name="x").skipped


def test_a_script_finishes_too(project: Project) -> None:
    """A script's record holds the sizes that its files have in the end."""
    project.write("config/base.json", "{}")
    project.flow(LATE)
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/x"], cwd=project.root, check=True)
    outputs = project.record("step", "x")["outputs"]
    assert {name: outputs[name]["size"] for name in SIZES} == SIZES


def test_the_last_words_of_a_script_are_shown(project: Project) -> None:
    """What a script prints at its end, and the traceback it ends with, reach the terminal complete."""
    project.write("config/base.json", "{}")
    project.flow("# %%\nprint('the last line')\nraise ValueError('and why')\n")
    for number in range(5):
        ended = subprocess.run(
            [sys.executable, "flow/step.py", "--output-dir", f"runs/step/{number}"],
            cwd=project.root, capture_output=True, text=True,
        )  # fmt: skip
        assert ended.stdout.splitlines()[-1] == "the last line"
        assert ended.stderr.splitlines()[-1] == "ValueError: and why"


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        ("raise SystemExit(3)", 3, "failed"),
        ("import sys; sys.exit(3)", 3, "failed"),
        ("leave(3)", 3, "failed"),
        ("leave(0)", 0, "done"),
        ("import sys; sys.exit(False)", 0, "done"),
        ("exit()", 0, "done"),
        ("try:\n    leave(2)\nexcept SystemExit:\n    print('caught')", 0, "done"),
        (
            "import threading\nthread = threading.Thread(target=leave, args=[2]); thread.start(); thread.join()",
            0,
            "done",
        ),
        ("def main():\n    leave(4)\nmain()", 4, "failed"),
        ("for i in range(3):\n    pass", 0, "done"),
    ],
)
def test_a_script_is_judged_by_how_it_ended(project: Project, ending: str, code: int, status: str) -> None:
    """Only the exit that ended the script counts, however it was called."""
    project.write("config/base.json", "{}")
    flow = project.flow(f"# %%\n{ending}\n")
    flow.write_text("from sys import exit as leave\n" + flow.read_text())
    command = [sys.executable, "flow/step.py", "--output-dir", "runs/step/x"]
    assert subprocess.run(command, cwd=project.root, capture_output=True).returncode == code
    assert project.record("step", "x")["status"] == status


@pytest.mark.engines("fork", "spawn")
def test_text_shown_early_is_in_the_log_early(project: Project) -> None:
    """print(..., flush=True) without a line end is in run.log at once."""
    project.flow(
        """
        # %%
        print("computing ...", end="", flush=True)
        open("seen", "w").write(open("run.log").read())
        print(" done")
        """
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert "out | computing ..." in (record.directory / "seen").read_text()
    assert record.log.read_text().endswith("out | computing ... done\n")


POLL = """
# %%
import threading, time
def poll():
    while True:
        time.sleep(0.02)
        open("seen", "a").write("x")
for _ in range(config["threads"]):
    threading.Thread(target=poll).start()
"""


@pytest.mark.engines("fork", "spawn")
def test_a_thread_without_end_is_ended(project: Project) -> None:
    """It is waited for as long as the settings say, told in the log, counted as a warning; the instance is done."""
    project.settings(grace=1.5)
    project.flow(POLL)
    record = run_notebook("flow/step.py", {"threads": 1}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    assert 1.5 <= record.duration_s < 30
    told = [line.partition(" | ")[2] for line in record.log.read_text().splitlines()]
    name = told[0].partition(": ")[2].partition(": ")[2]
    assert name.startswith("Thread-")
    assert told == [
        f"ductaflow: waiting for 1 thread that the flow left: {name}",
        f"ductaflow: 1 thread that the flow left is ended after 1.5 s: {name}",
    ]
    size = (record.directory / "seen").stat().st_size
    assert size == record.outputs["seen"]["size"]  # it has not gone on while the record was written


def test_no_grace_at_all(project: Project) -> None:
    """With a grace of 0 nothing is waited for but what is ending; several threads are one warning."""
    project.settings(grace=0)
    project.flow(POLL)
    record = run_notebook("flow/step.py", {"threads": 3}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    assert "3 threads that the flow left are ended after 0 s: Thread-" in record.log.read_text()


def test_a_flow_that_has_blocked_alarms(project: Project) -> None:
    """Its threads are waited for no longer than others, and it is done."""
    project.settings(grace=0.5)
    project.flow(f"# %%\nimport signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n{POLL}")
    record = run_notebook("flow/step.py", {"threads": 1}, instance_name="x", timeout=60)
    assert (record.status, record.warnings) == ("done", 1)
    assert "1 thread that the flow left is ended after 0.5 s" in record.log.read_text()


def test_a_thread_that_does_not_heed_its_end(project: Project) -> None:
    """One in a long call ends with the process; nobody waits for it."""
    project.settings(grace=0.2)
    project.flow("# %%\nimport threading, time\nthreading.Thread(target=time.sleep, args=[300]).start()\n")
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    assert record.duration_s < 60


def test_a_task_of_a_pool_without_end_is_ended(project: Project) -> None:
    """What Python waits for within its own exit functions is no different."""
    project.settings(grace=0.5)
    project.flow(
        """
        # %%
        import time
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(2)
        pool.submit(time.sleep, 0.01)
        pool.submit(lambda: [time.sleep(0.01) for _ in range(100_000)])
        """
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    assert "ended after 0.5 s: ThreadPoolExecutor-0_" in record.log.read_text()


def test_a_thread_that_waits_for_the_end_of_the_main_one(project: Project) -> None:
    """It sees the end, as in a script, and is nobody's warning."""
    project.flow(
        """
        # %%
        import threading
        def last():
            threading.main_thread().join()
            open("seen", "w").write("x")
        threading.Thread(target=last).start()
        """
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert (record.status, record.warnings, list(record.outputs)) == ("done", 0, ["seen"])


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_process_that_is_left_is_told(project: Project) -> None:
    """It ends with the instance; log and number of warnings say so."""
    project.flow("# %%\nimport subprocess\nleft = subprocess.Popen(['sleep', '300'], start_new_session=True)\n")
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    assert "ductaflow: 1 process that the flow left is ended: sleep (pid " in record.log.read_text()


def test_a_process_that_ends_by_itself_is_no_warning(project: Project) -> None:
    """One that was started last, and that nobody has waited for."""
    project.flow("# %%\nimport subprocess\nleft = subprocess.Popen(['sleep', '0.05'])\n")
    assert run_notebook("flow/step.py", {}, instance_name="x").warnings == 0


def test_a_process_of_multiprocessing_is_not_waited_for_without_end(project: Project) -> None:
    """It has the same grace as a thread, then it ends with the instance."""
    project.settings(grace=1.5)
    project.flow(
        """
        # %%
        import multiprocessing, time
        multiprocessing.get_context("fork").Process(target=time.sleep, args=[300]).start()
        """
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert (record.status, record.warnings) == ("done", 1)
    log = record.log.read_text()
    assert "ductaflow: waiting for 1 process that the flow left: ForkProcess-" in log
    assert "ductaflow: 1 process that the flow left is ended: " in log

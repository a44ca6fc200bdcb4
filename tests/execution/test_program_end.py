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

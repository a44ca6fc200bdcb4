"""Two at once, as one: what one executes, the other waits for and then takes; and a row says what its record says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from ductaflow import InstanceBusyError, run_instances, run_notebook
from ductaflow_runtime.conductor.observers import Waiting
from ductaflow_runtime.runs import claim
from ductaflow_runtime.runs.lock import acquire, is_free, locked
from ductaflow_runtime.worker.pool import pool
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S, wait_for

ROWS = 8
FLOW = """
import os, time
import ductaflow
time.sleep(0.05)
with open(ductaflow.project_path() / "executions.txt", "a") as file:
    file.write(os.path.basename(os.getcwd()) + "\\n")
ductaflow.save_results(double=2 * config["x"])
"""
CONDUCTOR = f"""
import pandas as pd
from ductaflow import run_instances
frame = pd.DataFrame({{"instance_name": [f"n{{i:02}}" for i in range({ROWS})], "x": range({ROWS})}})
frame = run_instances(frame, "flow/step.py", workers=2)
assert frame["result.double"].tolist() == [2 * x for x in range({ROWS})]
print(",".join(frame["status"]))
"""
NO_LOCKS = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""
ONE = pd.DataFrame({"instance_name": ["one"]})


def start(project: Project, text: str = CONDUCTOR, **variables: str) -> subprocess.Popen[str]:
    """A conductor's process. The text is an argument: a file written anew is empty to one that reads it meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-c", dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def conduct(project: Project, number: int, **variables: str) -> list[str]:
    """What several conductors of the same rows, started together, say of them."""
    project.flow(FLOW)
    processes = [start(project, **variables) for _ in range(number)]
    told = []
    for process in processes:
        out, err = process.communicate(timeout=LAST_CHANCE_S)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert out.strip(), err
        told += out.strip().split(",")
    return told


def waits(process: subprocess.Popen[str]) -> str:
    """The line with which a conductor tells that it waits, once it does."""
    assert process.stderr is not None
    return next(line for line in process.stderr if "waiting for" in line)


def executions(project: Project) -> Counter[str]:
    return Counter((project.root / "executions.txt").read_text().split())


def share_the_work(project: Project, number: int) -> None:
    """Each row is executed once; every frame is complete, and no row has failed."""
    told = Counter(conduct(project, number))
    assert set(executions(project).values()) == {1}
    assert told == {"done": ROWS, "up to date": ROWS * (number - 1)}
    assert not list((project.root / "runs/.ductaflow").rglob("n*"))


@pytest.mark.engines("fork", "spawn")
def test_two_conductors_of_the_same_rows_share_the_work(project: Project) -> None:
    """Two that are started together execute each row once between them; both frames are complete."""
    share_the_work(project, 2)


@pytest.mark.slow
def test_many_conductors_of_the_same_rows_share_the_work(project: Project) -> None:
    """So do five."""
    share_the_work(project, 5)


def test_without_locks_a_file_stands_for_them(project: Project, tmp_path: Path) -> None:
    """Where the file system has no locks, the same holds."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(NO_LOCKS)
    told = Counter(conduct(project, 2, PYTHONPATH=str(tmp_path / "site")))
    assert set(executions(project).values()) == {1}
    assert told == {"done": ROWS, "up to date": ROWS}


@pytest.mark.engines("fork", "spawn")
def test_a_dead_process_of_another_conductor_is_not_waited_for(project: Project) -> None:
    """What a killed conductor was executing is executed by the other."""
    project.flow(FLOW.replace("0.05", "0 if ductaflow.project_path('second').exists() else open('begun', 'w') and 600"))
    first = start(project)
    wait_for(lambda: len(list(project.root.glob("runs/step/*/begun"))) == 2, by=first)
    (project.root / "second").touch()
    second = start(project)
    waits(second)
    first.kill()
    first.communicate()
    out, err = second.communicate(timeout=LAST_CHANCE_S)
    assert (second.returncode, set(out.strip().split(","))) == (0, {"done"}), err
    assert set(executions(project).values()) == {1}


WAIT = """
import time
import ductaflow
while not (ductaflow.project_path() / "go").exists():
    time.sleep(0.05)
"""


def test_waiting_is_told(project: Project) -> None:
    """With the host and the process that has the instance, once."""
    project.flow(WAIT + FLOW)
    command = """
        from ductaflow import run_notebook
        record = run_notebook("flow/step.py", {"x": 1}, instance_name="one")
        print(record.skipped, record.results)
        """
    other = start(project, command)
    path = project.root / "runs/step/one/run.json"
    wait_for(path.exists, by=other)
    there = json.loads(path.read_text())["environment"]
    mine = start(project, command)
    told = waits(mine)
    (project.root / "go").touch()
    out, err = mine.communicate(timeout=LAST_CHANCE_S)
    other.communicate(timeout=LAST_CHANCE_S)
    assert out == "True {'double': 2}\n", err
    assert executions(project) == {"one": 1}
    assert told == f"step/one: waiting for another process ({there['host']}, pid {there['pid']})\n"
    assert "waiting for" not in err


def test_waiting_for_many_is_a_handful_of_lines() -> None:
    """The first is named with who has it; then their number is told, at ten times as many each."""
    said: list[str] = []
    observer = Waiting(said.append)
    for number in range(150):
        with pool_waits_for(f"step/{number}"):
            observer.waited()
            observer.waited()
    assert said == [
        "step/0: waiting for another process (here, pid 1)",
        "step/9: waiting for another process (here, pid 1), as for 9 rows before it",
        "step/99: waiting for another process (here, pid 1), as for 99 rows before it",
    ]


@contextmanager
def pool_waits_for(address: str) -> Iterator[None]:
    """As while a worker's thread waits for an instance."""
    pool().waiting[address] = "here, pid 1"
    try:
        yield
    finally:
        del pool().waiting[address]


def test_other_rows_come_first(project: Project) -> None:
    """While another process has a row, the others are executed."""
    project.flow("")
    folder = project.root / "runs/step/b"
    frame = pd.DataFrame({"instance_name": ["a", "b", "c"]})
    run_instances(frame, "flow/step.py")
    project.settings(wait=3)
    with locked(folder):
        (folder / "run.json").unlink()
        rows = run_instances(frame, "flow/step.py", workers=1, force=True, on_error="continue")
    assert rows["status"].tolist() == ["done", "failed", "done"]
    assert rows["error"][1].endswith("wait for it, or end that process (waited 3 s)")


def test_no_wait(project: Project) -> None:
    """`ductaflow run --no-wait` gives up at once."""
    project.flow("")
    project.write("config/base.json", "{}")
    command = [sys.executable, "-c", "from ductaflow_runtime.cli import main; main()", "run", "flow/step.py"]
    command += ["--name", "one"]
    subprocess.run(command, check=True)
    with locked(project.root / "runs/step/one"):
        told = subprocess.run([*command, "--force", "--no-wait"], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr.startswith("ductaflow: step/one is being executed by another process")


def test_a_forked_process_does_not_hold_the_instance(project: Project) -> None:
    """What a flow forks off lets go of the instance; the flow's own process does not."""
    folder = project.root / "runs/step/one"
    folder.mkdir(parents=True)
    lock = acquire(folder)
    assert lock is not None
    there, here = os.pipe()
    child = os.fork()
    if not child:
        os.write(here, b"1")
        signal.pause()
    try:
        os.read(there, 1)
        assert not is_free(folder)
        lock.release()
        assert is_free(folder)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.parametrize("removed", ["runs/step/one", "runs/.ductaflow"])
def test_a_folder_that_is_removed_does_not_free_the_instance(project: Project, removed: str) -> None:
    """Neither the instance's own folder nor the hidden one; the folder may be made anew meanwhile."""
    folder = project.root / "runs/step/one"
    folder.mkdir(parents=True)
    (project.root / "runs/.ductaflow").mkdir()
    with locked(folder):
        subprocess.run(["rm", "-r", project.root / removed], check=True)
        assert not is_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (project.root / "runs/.ductaflow").mkdir(exist_ok=True)
        with locked(folder) as free:
            assert not free
    assert is_free(folder)


@pytest.mark.engines("fork", "spawn")
def test_a_death_after_the_record_changes_nothing(project: Project) -> None:
    """The row is done, as its record is; the log has a line, and what was kept from before is gone."""
    kept = project.root / "runs/.ductaflow/previous/step/one"
    kept.mkdir(parents=True)
    project.flow("""
        import os, sys
        def hook(event, args, kill=os.kill, pid=os.getpid(), seen=[]):
            if seen:
                seen.clear()
                kill(pid, 9)
            if event == "os.rename" and str(args[1]).endswith("run.json"):
                seen.append(event)
        sys.addaudithook(hook)
        """)
    row = run_instances(ONE, "flow/step.py").iloc[0]
    assert (row["status"], project.record("step", "one")["status"]) == ("done", "done")
    log = (project.root / "runs/step/one/run.log").read_text()
    assert log.count("ductaflow: the process was killed by SIGKILL (signal 9)") == 1
    assert "after the record was written" in log
    assert not kept.exists()


@pytest.mark.engines("fork", "spawn")
def test_a_record_of_another_process_is_not_taken_for_ones_own(project: Project) -> None:
    """A worker whose child has died leaves a record alone that another conductor has written since."""
    project.settings(wait=1)
    project.flow("""
        import json, os
        other = json.load(open("run.json")) | {"started": "2030-01-01T00:00:00.000+00:00"}
        other["environment"] |= {"host": "elsewhere", "pid": 4711}
        json.dump(other, open("run.json", "w"))
        os.kill(os.getpid(), 9)
        """)
    row = run_instances(ONE, "flow/step.py", on_error="continue").iloc[0]
    assert row["status"] == "failed"
    assert "being executed by process 4711 on elsewhere since 2030" in row["error"]
    assert project.record("step", "one")["status"] == "running"


@pytest.mark.engines("fork", "spawn")
def test_a_vanished_folder_gets_a_record(project: Project) -> None:
    """A flow that deletes its own folder has failed, and its record says why."""
    project.flow("""
        import os, shutil
        shutil.rmtree(os.getcwd())
        """)
    row = run_instances(ONE, "flow/step.py", on_error="continue").iloc[0]
    record = project.record("step", "one")
    assert (row["status"], record["status"], record["error"]["type"]) == ("failed", "failed", "FolderRemoved")
    assert record["error"]["message"] == "the instance's folder was removed while the flow was running"


def test_a_single_instance_is_waited_for_no_longer_than_the_limit(project: Project) -> None:
    """`InstanceBusyError` says how long."""
    project.settings(wait=0.5)
    project.flow("")
    run_notebook("flow/step.py", {}, instance_name="one")
    with locked(project.root / "runs/step/one"), pytest.raises(InstanceBusyError, match=r"\(waited 0.5 s\)"):
        run_notebook("flow/step.py", {}, instance_name="one", force=True)


def test_two_that_find_the_same_dead_owner(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files stand for locks: who has judged before another took over does not take its file away."""
    path = project.root / "one.claim"
    path.write_text(json.dumps({"host": claim.host_name(), "pid": 2**22 + 1, "born": "1"}))
    judge, first = claim._is_claimed, []

    def judge_and_be_overtaken(asked: Path) -> bool:
        found = judge(asked)
        if not first:
            first.append(True)
            first.append(claim.claim(path))
        return found

    monkeypatch.setattr(claim, "_is_claimed", judge_and_be_overtaken)
    assert not claim.claim(path)
    assert first == [True, True]
    assert json.loads(path.read_text())["pid"] == os.getpid()
    assert [each.name for each in project.root.glob("one.*")] == ["one.claim"]

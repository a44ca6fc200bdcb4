"""What a killed conductor leaves behind is gone once the next has begun."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances
from ductaflow_runtime.runs.claim import born
from ductaflow_runtime.worker import leftovers
from ductaflow_runtime.worker.leftovers import OWNER, clear_leftovers, make_scratch
from ductaflow_runtime.worker.process import NOTE
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process was started with is told by /proc")

CONDUCTOR = """
import pandas as pd
from ductaflow import run_instances

run_instances(pd.DataFrame({"instance_name": ["x", "y"], "n": [1, 2]}), "flow/step.py", workers=2)
"""
SECONDS = "12345"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def ended() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has just ended: nobody has its number."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.communicate()


def started_by_flow(mark: str) -> list[int]:
    """The processes that sleep on behalf of a test."""
    found = []
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdigit() and f"sleep\0{SECONDS}\0{mark}".encode() in (each / "cmdline").read_bytes():
                found.append(int(each.name))
    return found


def descendants(pid: int) -> list[int]:
    """All that a process has started, as far as it is still below it."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def is_running(pid: int) -> bool:
    """Whether a process has not ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def owner(process: subprocess.Popen[bytes]) -> str:
    """The beginning of the name of a scratch folder that a process has made."""
    own = make_scratch()
    place = own.name.split("-")[1]
    own.rmdir()
    return f"ductaflow-{place}-{process.pid}-{born(process.pid)}-"


def test_folders_of_the_dead_only(temporary: Path, ended: subprocess.Popen[bytes]) -> None:
    """Those of a process that lives stay, and so do those that are not ours, or another machine's."""
    name = owner(ended)
    other = f"ductaflow-00000000-{name.split('-', 2)[2]}"
    for each in (f"{name}a", f"{other}b", "ductaflow-notes", "something"):
        (temporary / each).mkdir()
        (temporary / each / "journal.jsonl").write_text("{}")
    own = make_scratch()
    clear_leftovers()
    assert (temporary / f"{name}a").is_dir()
    ended.kill()
    wait_for(lambda: ended.poll() is not None)
    clear_leftovers()
    assert sorted(each.name for each in temporary.iterdir()) == sorted(
        [f"{other}b", "ductaflow-notes", "something", own.name]
    )


def test_a_run_that_executes_nothing_clears_them(
    project: Project, temporary: Path, ended: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was killed after the last row was done: the next run has nothing else to do."""
    folder = temporary / f"{owner(ended)}a"
    folder.mkdir()
    ended.kill()
    wait_for(lambda: ended.poll() is not None)
    project.flow("print(config['n'])")
    monkeypatch.setattr(leftovers, "_cleared_at", 0.0)
    run_instances(pd.DataFrame({"n": []}), "flow/step.py")
    assert not folder.exists()


def test_a_worker_that_still_settles_is_let(temporary: Path, ended: subprocess.Popen[bytes]) -> None:
    """The conductor is dead, and its worker about to write the record of what it executed."""
    folder = temporary / f"{owner(ended)}a"
    folder.mkdir()
    (folder / "worker").write_text(f"{os.getpid()} {born(os.getpid())}")
    ended.kill()
    wait_for(lambda: ended.poll() is not None)
    clear_leftovers()
    assert folder.is_dir()


def test_processes_of_the_dead_only(temporary: Path, ended: subprocess.Popen[bytes]) -> None:
    """What was started with a folder of a process that is no more is ended; what was not is left alone."""
    (temporary / f"{owner(ended)}a").mkdir()
    marked = subprocess.Popen(["sleep", "600"], env={**os.environ, OWNER: f"{owner(ended)}a"}, start_new_session=True)
    plain = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        clear_leftovers()
        assert marked.poll() is None
        ended.kill()
        wait_for(lambda: ended.poll() is not None)
        clear_leftovers()
        assert marked.wait(LAST_CHANCE_S) == -signal.SIGKILL
        assert plain.poll() is None
    finally:
        for each in (marked, plain):
            each.kill()
            each.wait()


def test_a_worker_that_settles_elsewhere_is_let(
    temporary: Path, tmp_path: Path, ended: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is in another temporary directory: whoever begins in this one knows nothing of it."""
    other = subprocess.Popen(["sleep", "600"])
    here = tmp_path / "here"
    names = {temporary: f"{owner(ended)}a", here: f"{owner(other)}a"}
    marked = {}
    for folder, name in names.items():
        (folder / name).mkdir(parents=True)
        marked[folder] = subprocess.Popen(["sleep", "600"], env={**os.environ, OWNER: name})
    try:
        for each in (ended, other):
            each.kill()
            each.wait()
        monkeypatch.setattr("tempfile.tempdir", str(here))
        clear_leftovers()
        assert marked[here].wait(LAST_CHANCE_S) == -signal.SIGKILL
        with pytest.raises(subprocess.TimeoutExpired):
            marked[temporary].wait(0.5)
        assert (temporary / names[temporary]).is_dir()
        assert not (here / names[here]).exists()
    finally:
        for process in marked.values():
            process.kill()
            process.wait()


def test_a_process_that_begins_after_its_conductor_has_ended(temporary: Path, ended: subprocess.Popen[bytes]) -> None:
    """It was about to begin when the conductor was killed: it ends at once, with its folder."""
    folder = temporary / f"{owner(ended)}a"
    folder.mkdir()
    ended.kill()
    ended.wait()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-P", "-m", "ductaflow_runtime.worker", "--base", folder]
        subprocess.run(command, stdin=theirs, timeout=LAST_CHANCE_S, check=True)
    assert not folder.exists()


FLOW = """
import subprocess, sys, time
text = "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", text, "sleep", "{seconds}", "{mark}"], start_new_session=True)
open("begun", "w").close()
time.sleep(600 if config["n"] else 0)
"""


@pytest.fixture
def begun(project: Project, temporary: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A conductor whose two instances are in the middle of it, and what marks the processes that they have set free."""
    assert temporary.is_dir()
    mark = uuid.uuid4().hex
    project.flow(FLOW.format(seconds=SECONDS, mark=mark))
    script = project.write("conductor.py", CONDUCTOR)
    conductor = subprocess.Popen([sys.executable, script], cwd=project.root, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(project.root.glob("runs/step/*/begun"))) == 2 and len(started_by_flow(mark)) == 2)
    yield conductor, mark
    for pid in [conductor.pid, *started_by_flow(mark)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    conductor.wait()


@pytest.mark.slow
@pytest.mark.engines("fork", "spawn")
def test_all_killed_at_once(begun: tuple[subprocess.Popen[bytes], str], temporary: Path) -> None:
    """Conductor, workers and children killed together: the next conductor ends what flows started, and clears up."""
    conductor, mark = begun
    apart = started_by_flow(mark)
    killed = [conductor.pid, *(each for each in descendants(conductor.pid) if each not in apart)]
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    conductor.wait()
    wait_for(lambda: not any(map(is_running, killed)))  # a large process takes a while to end
    assert started_by_flow(mark)
    clear_leftovers()
    wait_for(lambda: not started_by_flow(mark))
    assert list(temporary.glob("ductaflow-*")) == []


@pytest.mark.slow
@pytest.mark.engines("fork", "spawn")
def test_workers_killed(begun: tuple[subprocess.Popen[bytes], str], project: Project) -> None:
    """What the instances of a killed worker had set free is ended: by the base, or where there is none by its mark."""
    conductor, mark = begun
    children = [project.record("step", name)["environment"]["pid"] for name in ("x", "y")]
    for pid in children:
        worker = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not started_by_flow(mark))
    assert conductor.wait(LAST_CHANCE_S) == 1
    assert [project.record("step", name)["status"] for name in ("x", "y")] == ["failed", "failed"]


@pytest.mark.usefixtures("steady_packages")
@pytest.mark.engines("fork", "spawn")
def test_a_conductor_that_is_killed_during_an_import(
    project: Project, temporary: Path, install: Callable[..., str]
) -> None:
    """What imports ahead, or in an instance, ends with it, however long the import would take."""
    note = project.root / "importing"
    name = install(
        f"import os, time\nopen({str(note) + '~'!r}, 'w').write(str(os.getpid()))\n"
        f"os.rename({str(note) + '~'!r}, {str(note)!r})\ntime.sleep(50)\n"
    )
    project.flow(f"import {name}\nprint(config['n'])")
    script = project.write("conductor.py", CONDUCTOR)
    conductor = subprocess.Popen([sys.executable, script], cwd=project.root, stderr=subprocess.DEVNULL)
    wait_for(lambda: note.exists() or conductor.poll() is not None)
    importing, began = int(note.read_text()), time.monotonic()
    conductor.kill()
    conductor.wait()
    wait_for(lambda: not is_running(importing))
    assert time.monotonic() - began < 25, "the import came to its end"
    assert not [each for each in temporary.glob("ductaflow-*") if (each / NOTE).exists()]

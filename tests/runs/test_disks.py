"""Full disks, folders that may not be written, temporary directories that are emptied: one clear error each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import ProjectError, load_results, plan_instances, run_instances
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tools that the tests need")

CONDUCTOR = """
import sys
import pandas as pd
from ductaflow import run_instances

frame = run_instances(
    pd.DataFrame({"instance_name": ["a", "b", "c"], "n": [1, 2, 3]}), "flow/step.py", on_error="continue", workers=2
)
frame[["instance_name", "status", "error"]].to_json(sys.stdout, orient="records")
"""


def run(project: Project, **variables: str) -> dict[str, dict[str, Any]]:
    """What becomes of three rows, executed by a user who may write only what the files' modes say."""
    script = project.write("conductor.py", CONDUCTOR)
    command = [sys.executable, str(script)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere")
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    told = subprocess.run(
        command, cwd=project.root, env={**os.environ, **variables}, capture_output=True, text=True,
        timeout=LAST_CHANCE_S, check=True,
    )  # fmt: skip
    assert "Traceback" not in told.stderr
    return {row["instance_name"]: row for row in json.loads(told.stdout)}


@pytest.fixture
def small(project: Project) -> Iterator[Path]:
    """A disk of 1 MB as the folder of results."""
    folder = project.root / "runs"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk(project: Project, small: Path) -> None:
    """Rows that it does not take say so; those before are whole; with room again, the next run executes the others."""
    text = "open('out.bin', 'wb').write(b'x' * {size} if config['n'] > 1 else b'')"
    project.flow("print(config['n'])")
    rows = pd.DataFrame({"instance_name": ["a", "b", "c"], "n": [1, 2, 3]})
    run_instances(rows.head(1), "flow/step.py", workers=1)
    project.flow(text.format(size=900_000), "flow/large.py")
    frame = run_instances(rows.tail(2), "flow/large.py", workers=1, on_error="continue")
    assert set(frame["status"]) <= {"done", "failed"}
    assert "failed" in set(frame["status"])
    assert all("No space left on device" in error for error in frame["error"] if error is not None)
    assert load_results("step")["status"].tolist() == ["done"]
    assert run_instances(rows.head(1), "flow/step.py")["status"].tolist() == ["up to date"]
    subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
    assert set(run_instances(rows.tail(2), "flow/large.py")["status"]) <= {"done", "up to date"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o500, 0], ids=["read-only", "closed"])
@pytest.mark.parametrize("where", ["runs/step/b", "runs/step", "runs", "runs/.ductaflow"])
def test_a_folder_that_may_not_be_written(project: Project, where: str, mode: int) -> None:
    """Each row that it concerns names it; results stay, and the next run goes on."""
    if mode == 0 and where != "runs/step/b":
        pytest.skip("nothing at all can be seen of such a folder of results")
    project.flow("print(config['n'])")
    three = pd.DataFrame({"instance_name": ["a", "b", "c"], "n": [1, 2, 3]})
    assert set(run_instances(three, "flow/step.py")["status"]) == {"done"}
    project.flow("print('anew', config['n'])")
    folder = project.root / where
    folder.chmod(mode)
    try:
        rows = run(project)
        for name, row in rows.items():
            assert row["status"] == "done" or "ermission denied" in row["error"], (name, row)
        assert rows["a"]["status"] == rows["c"]["status"] == "done" or where != "runs/step/b"
    finally:
        folder.chmod(0o755)
    assert set(run_instances(three, "flow/step.py")["status"]) <= {"done", "up to date"}
    assert load_results("step")["status"].tolist() == ["done"] * 3


@pytest.mark.slow
def test_nowhere_to_write_but_the_project(project: Project) -> None:
    """HOME and TMPDIR may not be written: the rows are done."""
    project.flow("print(config['n'])")
    rows = run(project, HOME="/nonexistent", TMPDIR="/proc/1")
    assert {row["status"] for row in rows.values()} == {"done"}


@pytest.mark.slow
def test_a_machine_that_speaks_no_language(project: Project) -> None:
    """With `LANG=C`, names and texts in any script are what they are elsewhere: nothing is executed again."""
    project.flow(
        """
        import ductaflow
        print("Zürich 東京")
        open("größe.txt", "w", encoding="utf-8").write("größe")
        ductaflow.save_results(where=f"Zürich {config['n']}")
        """
    )
    script = project.write("conductor.py", CONDUCTOR.replace('"a"', '"Zürich"').replace('"b"', '"東京"'))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON"))}
    told = []
    for language in ("C", "C.UTF-8"):
        done = subprocess.run(
            [sys.executable, script], env={**plain, "LANG": language}, capture_output=True, text=True,
            timeout=LAST_CHANCE_S, check=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        told.append({row["instance_name"]: row["status"] for row in json.loads(done.stdout)})
    assert told == [dict.fromkeys(("Zürich", "東京", "c"), status) for status in ("done", "up to date")]
    assert "Zürich 東京" in (project.root / "runs/step/東京/run.log").read_text(encoding="utf-8")
    assert list(project.record("step", "Zürich")["outputs"]) == ["größe.txt"]
    assert load_results("step")["result.where"].tolist() == ["Zürich 1", "Zürich 3", "Zürich 2"]


WITHOUT_SHARED_MEMORY = {
    "read-only": "mount -t tmpfs -o ro,size=4k none /dev/shm",
    "absent": """mkdir dev && mount -t tmpfs none dev || exit 77
        for name in null zero full random urandom; do
            touch dev/$name && mount --bind /dev/$name dev/$name || exit 77
        done
        mount --rbind dev /dev && test ! -e /dev/shm""",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", WITHOUT_SHARED_MEMORY)
def test_without_shared_memory(project: Project, how: str) -> None:
    """Where nothing can be put into `/dev/shm`, or there is none, all rows are executed."""
    apart = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "bash", "-c"]
    if shutil.which("unshare") is None:
        pytest.skip("no tool to take the system's folder away from one process")
    project.flow("import os\nassert not os.access('/dev/shm', os.W_OK)\nprint(config['n'])")
    script = project.write("conductor.py", CONDUCTOR)
    hide = f"{{ {WITHOUT_SHARED_MEMORY[how]}\n}} || exit 77; exec {sys.executable} {script}"
    told = subprocess.run([*apart, hide], cwd=project.root, capture_output=True, text=True, timeout=LAST_CHANCE_S)
    if told.returncode == 77 or told.stderr.startswith("unshare:"):
        pytest.skip("may not take the system's folder away from one process")
    assert told.returncode == 0, told.stderr
    assert [(row["status"], row["error"]) for row in json.loads(told.stdout)] == [("done", None)] * 3


@pytest.mark.parametrize("limit", [64, 24])
def test_few_file_handles(project: Project, limit: int) -> None:
    """With 64 handles, and with fewer, all rows are executed."""
    project.flow("print(config['n'])")
    script = project.write("conductor.py", CONDUCTOR.replace("workers=2", "workers=3"))
    command = ["bash", "-c", f"ulimit -n {limit}; exec {sys.executable} {script}"]
    told = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=LAST_CHANCE_S, check=True)
    assert [row["status"] for row in json.loads(told.stdout)] == ["done"] * 3


EMPTIES = """
import contextlib, os, shutil, tempfile
for name in os.listdir(tempfile.gettempdir()):
    path = os.path.join(tempfile.gettempdir(), name)
    with contextlib.suppress(FileNotFoundError):  # another row's flow is doing the same
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)
"""
FILLS = """
import os, tempfile
handle = os.open(os.path.join(tempfile.gettempdir(), "large"), os.O_CREAT | os.O_WRONLY)
for size in (4096, 1):
    try:
        while os.write(handle, b"x" * size):
            pass
    except OSError:
        pass
"""
READS = """
# %%
from ductaflow import project_path, save_results
save_results(total=config["n"] + float(open(os.path.join(project_path("data"), "x" + ".csv")).read()))
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of a test alone; its name is longer than the names of sockets may be."""
    with tempfile.TemporaryDirectory(prefix="long" * 25, ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", None)
        yield Path(folder)


def is_right(project: Project, count: int) -> bool:
    """Whether rows of such a flow have their results, and run again once their input has changed."""
    project.write("data/x.csv", "5")
    rows = pd.DataFrame({"n": range(count)})
    frame = run_instances(rows, "flow/step.py", workers=2, on_error="continue")
    assert frame["error"].tolist() == [None] * count
    assert frame["result.total"].tolist() == [5.0 + n for n in range(count)]
    project.write("data/x.csv", "50")
    reasons = plan_instances(rows, "flow/step.py")["reason"].tolist()
    return reasons == ["input: data/x.csv"] * count


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.usefixtures("temporary")
def test_a_flow_that_empties_the_temporary_directory(project: Project, engine: str) -> None:
    """What was there of ours costs no instance, no result and no input."""
    project.flow(f"# %%{EMPTIES}{READS}")
    assert is_right(project, 1 if engine == "kernel" else 6)  # a kernel that begins needs its folder


@pytest.mark.engines("kernel")
def test_a_flow_that_fills_the_temporary_directory(project: Project, temporary: Path) -> None:
    """What a kernel tells of results and inputs needs no room there."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", temporary], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a disk")
    try:
        project.flow(f"# %%{FILLS}{READS}")
        assert is_right(project, 1)
    finally:
        subprocess.run(["umount", "--lazy", temporary], check=True)


def test_a_path_that_is_too_long(project: Project) -> None:
    """It is refused before anything runs."""
    project.flow("print(config['n'])")
    for long in ("d" * 300, "/".join(["d" * 200] * 21)):
        with pytest.raises(ProjectError, match="runs_dir is longer than this system's paths can be"):
            run_instances(pd.DataFrame({"n": [1]}), "flow/step.py", runs_dir=long)

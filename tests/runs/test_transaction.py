"""Nothing finished is lost: an execution that is killed at any of its steps on disk, and files that are not ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import run_instances, run_notebook
from ductaflow_runtime.execution.entry import Conclusion, attempt_of, open_entry
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.bring_back import bring_back
from ductaflow_runtime.runs.failure import died
from ductaflow_runtime.runs.folder import open_below
from ductaflow_runtime.runs.kept import Keep, kept_results
from ductaflow_runtime.runs.record import read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.prune import plan_removal, remove
from ductaflow_runtime.worker.crash import settle
from ductaflow_runtime.worker.journal import Told
from tests.conftest import Project

WRITTEN = ("out.txt", "sub/b.txt", "step.ipynb", "run.log")
STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.utime", "shutil.rmtree"}
STEPS |= {"os.truncate", "os.listdir", "os.scandir"}


def job_in(root: Path, **more: Any) -> Job:
    flow, runs_dir = str(root / "flow/step.py"), str(root / "runs")
    return Job(root=str(root), runs_dir=runs_dir, flow=flow, step="step", name="one", config={}, **more)


def attempt(root: Path, status: Status, text: str, before: Sequence[dict[str, Any]] = (), **more: Any) -> None:
    """As an execution does, after others of the same call: make the folder ready, write files, say how it ended."""
    entry = open_entry(job_in(root, attempts=[*before], **more))
    for name in (*WRITTEN, f"only-{text}.txt"):
        path = entry.record.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    entry.close(Conclusion(status, made=frozenset({"out.txt", "sub/b.txt", f"only-{text}.txt"})))


def settled_by_worker(root: Path) -> None:
    """What the worker of a process does that was killed before its flow began."""
    left = read_record(root / "runs/step/one")
    if left is not None and left.status is Status.RUNNING and left.outputs is not None:
        assert settle(job_in(root), Told(started=left.started), "killed", {}, Conclusion(Status.FAILED, died(-9)))


def killed_at(step: int, root: Path, status: Status, text: str, before: Sequence[dict[str, Any]] = ()) -> bool:
    """Make an attempt in a process that is killed before its nth step; false if it came to its end."""
    return killed_in(step, lambda: attempt(root, status, text, before))


def killed_in(step: int, act: Callable[[], object]) -> bool:
    """Do something in a process that is killed before its nth step; false if it came to its end."""
    child = os.fork()
    if not child:
        left = [step]

        def hook(event: str, _: object) -> None:
            if event in STEPS:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        act()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def good(folder: Path, text: str, names: tuple[str, ...] = WRITTEN) -> bool:
    """Whether a folder holds the whole results of an execution that succeeded."""
    record = read_record(folder) if folder.is_dir() else None
    whole = all((folder / name).is_file() and (folder / name).read_text() == text for name in names)
    return record is not None and record.status is Status.DONE and whole and (folder / "config.json").is_file()


def texts_below(root: Path) -> list[str]:
    return [path.read_text() for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("edited", [False, True], ids=["as-written", "edited"])
@pytest.mark.parametrize("status", [Status.FAILED, Status.DONE])
def test_a_kill_at_any_step_leaves_the_last_good_results_whole(tmp_path: Path, status: Status, edited: bool) -> None:
    """They are in the instance's folder or in `previous/`, a failure keeps them, and the next success is clean."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    base = tmp_path / "base"
    (base / "runs").mkdir(parents=True)
    attempt(base, Status.DONE, "one")
    names = WRITTEN
    if edited:
        (base / "runs/step/one/out.txt").write_text("by hand")
        names = WRITTEN[1:]
    (base / "runs/step/one/mine.txt").write_text("mine")
    step, steps = 0, 0
    while True:
        step += 1
        root = tmp_path / "copy"
        shutil.copytree(base, root)
        runs, here = root / "runs", root / "runs/step/one"
        previous = runs / ".ductaflow/previous/step/one"
        was_killed = killed_at(step, root, status, "two")
        (here / "mine.txt").chmod(0o600)  # whose file it is does not depend on when it was touched
        second = good(here, "two")
        assert second or good(here, "one", names) or good(previous, "one", names), f"lost at step {step}"
        assert not edited or "by hand" in texts_below(runs), f"edited file lost at step {step}"
        settled_by_worker(root)
        attempt(root, Status.FAILED, "three")
        assert good(previous, "two") if second else good(previous, "one", names), f"lost after step {step}"
        attempt(root, Status.DONE, "four")
        assert good(here, "four"), f"not good after step {step}"
        assert not edited or "by hand" in texts_below(runs)
        assert (here / "mine.txt").read_text() == "mine"
        assert sorted(path.name for path in here.iterdir()) == sorted(
            ["config.json", "mine.txt", "only-four.txt", "out.txt", "run.json", "run.log", "step.ipynb", "sub"]
        )
        assert not list((runs / ".ductaflow/previous/step").iterdir())
        shutil.rmtree(root)
        if not was_killed:
            break
        steps += 1
    assert steps > 30


KEEP = Keep(3, 10**9)
KEEPING = {"keep": KEEP.results, "keep_size": KEEP.size}


def bring(root: Path, text: str) -> None:
    """Bring back the kept result that has this text."""
    instance = job_in(root).instance
    (source,) = [kept.folder for kept in kept_results(instance) if (kept.folder / "run.log").read_text() == text]
    record = read_record(source)
    assert record is not None
    bring_back(instance, record, KEEP)


ACTS = {
    "brought-back": lambda root: bring(root, "one"),
    "executed": lambda root: attempt(root, Status.DONE, "more", **KEEPING),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_kill_at_any_step_loses_no_result_that_is_kept(tmp_path: Path, act: Callable[[Path], None]) -> None:
    """Neither of bringing one back nor of an execution: each is whole, and the next time there is one of each."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    base, names = tmp_path / "base", WRITTEN[1:]
    (base / "runs").mkdir(parents=True)
    for text in ("one", "two"):
        attempt(base, Status.DONE, text, **KEEPING)
    for name, text in (("mine.txt", "mine"), ("step.html", "mine, too"), ("out.txt", "by hand")):
        (base / "runs/step/one" / name).write_text(text)
    step, was_killed = 0, True
    while was_killed:
        step += 1
        root = tmp_path / "copy"
        shutil.copytree(base, root)
        hidden, here = root / "runs/.ductaflow", root / "runs/step/one"

        def places(text: str, names: tuple[str, ...], hidden: Path = hidden, here: Path = here) -> list[Path]:
            others = [hidden / "previous/step/one", *(hidden / "kept/step/one").iterdir()]
            return [place for place in (here, *others) if good(place, text, names)]

        was_killed = killed_in(step, lambda root=root: act(root))
        assert places("one", WRITTEN), f"lost at step {step}"
        assert places("two", names), f"replaced one lost at step {step}"
        if step % 2 and not good(here, "one"):
            bring(root, "one")
            assert good(here, "one"), f"not good after step {step}"
        attempt(root, Status.DONE, "three", **KEEPING)
        assert good(here, "three"), f"not good after step {step}"
        assert [len(places("one", WRITTEN)), len(places("two", names))] == [1, 1], f"after step {step}"
        assert (here / "mine.txt").read_text() == "mine"
        assert {"mine, too", "by hand"} <= {*texts_below(root / "runs")}
        assert not [path for path in (hidden / "kept/step/one").iterdir() if path.name.startswith(".")]
        assert not list((hidden / "previous/step").iterdir())
        shutil.rmtree(root)
    assert step > 30


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


ONE = pd.DataFrame({"instance_name": ["one"]})
FOLDER = Path("runs/step/one")
EDITED = Path("runs/.ductaflow/edited/step/one")


def test_a_kill_of_a_second_attempt_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """The last good results are whole, and the logs of attempts are gone once the instance is executed anew."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    base = tmp_path / "base"
    (base / "runs").mkdir(parents=True)
    attempt(base, Status.DONE, "one")
    attempt(base, Status.FAILED, "two")
    failed = read_record(base / "runs/step/one")
    assert failed is not None
    before = [attempt_of(failed, "run.attempt-1.log")]
    step, was_killed = 0, True
    while was_killed:
        step += 1
        root = tmp_path / "copy"
        shutil.copytree(base, root)
        here = root / "runs/step/one"
        was_killed = killed_at(step, root, Status.DONE, "three", before)
        assert good(here, "three") or good(root / "runs/.ductaflow/previous/step/one", "one"), f"lost at step {step}"
        if not was_killed:
            assert (here / "run.attempt-1.log").read_text() == "two"
        attempt(root, Status.DONE, "four")
        assert good(here, "four"), f"not good after step {step}"
        names = ["config.json", "only-four.txt", "out.txt", "run.json", "run.log", "step.ipynb", "sub"]
        assert sorted(path.name for path in here.iterdir()) == names, f"left behind after step {step}"
        assert not list((root / "runs/.ductaflow").rglob("run*.log"))
        shutil.rmtree(root)
    assert step > 10


@pytest.mark.engines("fork", "spawn")
def test_a_file_that_somebody_saves_during_a_run_is_not_deleted(project: Project) -> None:
    """Nobody saw the flow write it; the next success moves it away, and what programs of the flow write again goes."""
    project.flow("""
        import subprocess
        open("seen.txt", "w").write("seen")
        subprocess.run("echo native > native.txt; test -e ../../../twice || echo mine > note.txt", shell=True)
        """)
    run_instances(ONE, "flow/step.py")
    outputs = project.record("step", "one")["outputs"]
    assert {name: told.get("unseen") for name, told in outputs.items()} == {
        "native.txt": True, "note.txt": True, "seen.txt": None,
    }  # fmt: skip
    (project.root / "twice").touch()
    run_instances(ONE, "flow/step.py", force=True)
    assert set(files(FOLDER)) >= {"seen.txt", "native.txt"}
    assert "note.txt" not in files(FOLDER)
    assert list(files(EDITED).values()) == ["mine\n"]


def test_edited_files_of_a_failed_instance_are_kept(project: Project) -> None:
    """As those of a good one."""
    project.flow("open('out.txt', 'w').write('x')\nassert config['good']")
    row = ONE.assign(good=False)
    run_instances(row, "flow/step.py", on_error="continue")
    (FOLDER / "out.txt").write_text("by hand")
    run_instances(row, "flow/step.py", on_error="continue")
    assert list(files(EDITED).values()) == ["by hand"]


def test_each_edited_file_has_a_place_of_its_own(project: Project) -> None:
    """However fast one follows the other."""
    project.flow("open('out.txt', 'w').write('x')")
    for number in range(12):
        run_instances(ONE, "flow/step.py")
        (FOLDER / "out.txt").write_text(f"edit {number}")
    assert sorted(files(EDITED).values()) == sorted(f"edit {number}" for number in range(11))


def test_a_record_does_not_lead_out_of_the_folder(project: Project, tmp_path: Path) -> None:
    """A link in the folder of results is nobody's way to other files."""
    secret = tmp_path / "home/secret.txt"
    secret.parent.mkdir()
    secret.write_text("secret")
    project.flow("open('out.txt', 'w').write('x')")
    run_instances(ONE, "flow/step.py")
    (FOLDER / "l").symlink_to(secret.parent)
    record = project.record("step", "one")
    told = {"size": 6, "sha256": "0" * 64, "mtime_ns": secret.stat().st_mtime_ns}
    record["outputs"]["l/secret.txt"] = told
    record["links"] = ["l/secret.txt"]
    (FOLDER / "run.json").write_text(json.dumps(record))
    run_instances(ONE, "flow/step.py", force=True)
    assert secret.read_text() == "secret"
    assert not EDITED.exists()


@pytest.mark.parametrize("link", [".ductaflow/previous", ".ductaflow/previous/step", ".ductaflow/edited"])
def test_a_link_in_the_hidden_folder_is_refused(project: Project, tmp_path: Path, link: str) -> None:
    """With a message; nothing behind it is touched, and the good results stay as they are."""
    project.flow("open('out.txt', 'w').write('x')")
    run_instances(ONE, "flow/step.py")
    outside = tmp_path / "home"
    for name in ("step/one", "one"):
        (outside / name).mkdir(parents=True)
        (outside / name / "dear.txt").write_text("dear")
    path = project.root / "runs" / link
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside)
    (FOLDER / "out.txt").write_text("by hand")
    row = run_instances(ONE, "flow/step.py", on_error="continue").iloc[0]
    assert (row["status"], "is a link" in row["error"]) == ("failed", True)
    assert (outside / "one/dear.txt").read_text() == (outside / "step/one/dear.txt").read_text() == "dear"
    assert (FOLDER / "out.txt").read_text() == "by hand"
    assert project.record("step", "one")["status"] == "done"


def test_results_on_another_disk_are_kept(project: Project) -> None:
    """Where a file cannot have a second place, it is copied."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == project.root.stat().st_dev:
        pytest.skip("needs a second file system")
    place = other / f"ductaflow-test-{os.getpid()}"
    place.mkdir()
    try:
        (project.root / "runs").mkdir()
        (project.root / "runs/step").symlink_to(place)
        project.flow("open('out.txt', 'w').write(str(config['x']))\nassert config['x'] != 2")
        for x in (1, 2, 2):
            run_instances(ONE.assign(x=x), "flow/step.py", on_error="continue")
        assert (project.root / "runs/.ductaflow/previous/step/one/out.txt").read_text() == "1"
        run_instances(ONE.assign(x=3), "flow/step.py")
        assert (FOLDER / "out.txt").read_text() == "3"
        assert not (project.root / "runs/.ductaflow/previous/step/one").exists()
    finally:
        shutil.rmtree(place)


def test_pruning_leaves_what_is_edited_after_the_list(project: Project) -> None:
    """Between the list and the answer somebody may have worked on it."""
    project.flow("open('out.txt', 'w').write('x')\nopen('other.txt', 'w').write('x')")
    run_notebook("flow/step.py", {}, instance_name="one")
    removal = plan_removal(project.root / "runs", "step", "one")
    assert "out.txt" in removal.ours
    (FOLDER / "out.txt").write_text("by hand")
    remove(removal)
    assert files(FOLDER) == {"out.txt": "by hand"}


def test_what_outlives_good_results_is_cleared_away(project: Project) -> None:
    """A kill after `done` leaves what was kept until then: the next run, which executes nothing, deletes it."""
    project.flow("open('out.txt', 'w').write('x')")
    run_instances(ONE, "flow/step.py")
    kept = project.root / "runs/.ductaflow/previous/step"
    for name in ("one", ".one.old", ".one.new"):
        shutil.copytree(FOLDER, kept / name)
    shutil.copytree(FOLDER, kept / "other")
    dropped = project.root / "runs/.ductaflow/dropped"
    shutil.copytree(FOLDER, dropped / "half")
    assert run_instances(ONE, "flow/step.py")["status"].tolist() == ["up to date"]
    assert [path.name for path in kept.iterdir()] == ["other"]
    assert not list(dropped.iterdir())
    assert files(FOLDER)["out.txt"] == "x"


def test_instances_that_begin_together_make_their_common_folder_together(tmp_path: Path) -> None:
    """None of a step's rows fails because another one was first to make a folder that both need."""
    together = threading.Barrier(4)

    def make(number: int) -> bool:
        together.wait()
        with open_below(tmp_path, Path(f"{number // 4}/previous/cost"), make=True) as folder:
            return folder is not None

    with ThreadPoolExecutor(4) as threads:
        for number in range(200):
            assert all(threads.map(make, range(4 * number, 4 * number + 4)))


def test_folders_of_outputs_are_under_way_to_the_disk_before_done_is_said(project: Project) -> None:
    """The folders that a flow makes in its own hold names that a power cut could take away."""
    project.flow(f"""
        import os
        def told(handle, os=os, open=open, real=os.fsync, log={str(project.root / "synced.txt")!r}):
            with open(log, "a") as file:
                file.write(os.readlink(f"/proc/self/fd/{{handle}}") + "\\n")
            real(handle)
        os.fsync = told
        os.makedirs("maps/small")
        open("maps/small/a.txt", "w").close()
        """)
    assert run_instances(pd.DataFrame({"instance_name": ["one"]}), "flow/step.py")["status"].tolist() == ["done"]
    folder = project.root / "runs/step/one"
    synced = [Path(line) for line in (project.root / "synced.txt").read_text().splitlines()]
    assert synced.index(folder / "maps/small") < synced.index(folder / "maps") < synced.index(folder)
    assert folder / "maps/small/a.txt" in synced

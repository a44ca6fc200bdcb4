"""Somebody else is at the same instances: what one is told, what one's own rows do, and what nobody overwrites."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ductaflow import InstanceBusyError, InstancesFailed, load_results, run_instances, run_notebook
from ductaflow_runtime.cli.report import write_index
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs import look as state
from ductaflow_runtime.runs.claim import host_name
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.staleness.accept import accept
from ductaflow_runtime.staleness.decision import BUSY
from ductaflow_runtime.staleness.inventory import examine
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.prune import plan_removal, remove
from ductaflow_runtime.status_page import write_page
from tests.cli.test_commands import call, section
from tests.staleness.sample import Sample
from tests.status_page.reading import column

COUNT = {"fork": 40, "spawn": 4}


def elsewhere(sample: Sample, name: str = "b") -> AbstractContextManager[bool]:
    """As if another process were executing an instance of cost."""
    there = {"host": host_name(), "pid": 4711}
    sample.edit_record(f"cost/{name}", status="running", fingerprint=None, outputs=None, environment=there)
    return locked(sample.folder(f"cost/{name}"))


def impatient(sample: Sample) -> None:
    """Nobody is waited for."""
    sample.settings(workers=2, wait=0)


def states(sample: Sample) -> list[str]:
    return load_results("cost")["status"].tolist()


WAYS: dict[str, Callable[[Sample], object]] = {
    "load_results": states,
    "plan": lambda sample: sample.plan("cost"),
    "status": lambda _: call("status", "cost").splitlines()[1].split(),
    "page": lambda sample: column(write_page(sample.root / "runs", title=""), "about", "status"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_instance_that_ends_while_one_looks_was_not_interrupted(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A record that said `running` is read again before it is called interrupted."""
    expected = WAYS[way](sample)
    path = sample.folder("cost/a") / "run.json"
    done = path.read_text()

    def is_alive(_: Record) -> bool:
        path.write_text(done)
        return False

    sample.edit_record("cost/a", status="running", fingerprint=None)
    monkeypatch.setattr(state, "is_alive", is_alive)
    assert WAYS[way](sample) == expected


@pytest.mark.engines("fork", "spawn")
def test_nothing_is_called_interrupted_or_damaged_while_a_sweep_runs(sample: Sample) -> None:
    """Instances that begin and end all the time are running or done to whoever looks."""
    row = sample.rows["cost"][0]
    sample.rows["cost"] = [{**row, "instance_name": f"n{i}", "fare.base": i} for i in range(COUNT[sample.engine])]
    seen: set[str] = set()
    sweep = threading.Thread(target=sample.run, args=("cost",))
    sweep.start()
    while sweep.is_alive():
        seen.update(states(sample))
        present = Present(Project.at(sample.root))
        seen.update(one.state for one in examine(present, "cost"))
    sweep.join()
    assert seen <= {"running", "done"}
    assert set(states(sample)) == {"done"}


def test_an_instance_that_has_just_begun_is_running(sample: Sample) -> None:
    """Its folder is there and locked before its record is; only without the lock is a record missing."""
    impatient(sample)
    (sample.folder("cost/a") / "run.json").unlink()
    with locked(sample.folder("cost/a")):
        assert states(sample) == ["running", "done", "done"]
        assert "Damaged" not in call("status", "cost")
        assert sample.plan("cost") == {"cost/a": BUSY}
        with pytest.raises(InstanceBusyError, match="which has just begun"):
            run_cost(sample, "a")
    assert states(sample) == ["damaged", "done", "done"]
    assert section(call("status", "cost"), "Damaged records") == ["cost/a: no run.json"]


def test_an_empty_folder_is_no_instance(sample: Sample) -> None:
    """Where nothing has run there is nothing to tell."""
    sample.folder("cost/empty").mkdir()
    assert states(sample) == ["done"] * 3
    assert "empty" not in call("status", "cost")


def run_cost(sample: Sample, name: str) -> Record:
    """Run one instance of cost as its stored config says."""
    config = json.loads((sample.folder(f"cost/{name}") / "config.json").read_text())
    return run_notebook("flow/cost.py", config, instance_name=name)


def test_a_busy_row_costs_the_others_nothing(sample: Sample) -> None:
    """Not waited for, the row that another process executes fails with a message that says so; the others run."""
    impatient(sample)
    sample.edit("lib/rates.py", "2", "3")
    with elsewhere(sample):
        assert sample.plan("cost") == {
            "cost/a": "module: lib/rates.py",
            "cost/b": "running in another process",
            "cost/c": "module: lib/rates.py",
        }
        frame = sample.run("cost")
        assert sample.record("cost", "b")["status"] == "running"
    assert frame["status"].tolist() == ["done", "failed", "done"]
    assert frame["reason"].tolist()[1] == "running in another process"
    message = frame["error"].tolist()[1]
    assert message.startswith("InstanceBusyError: cost/b is being executed by process 4711 since 20")
    assert message.endswith("; wait for it, or end that process")
    assert sample.plan("cost") == {"cost/b": "interrupted"}


def test_a_busy_row_is_told_in_the_summary_and_the_error(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    """The line before a sweep counts it, and the error after it names it."""
    impatient(sample)
    with elsewhere(sample), pytest.raises(InstancesFailed, match="cost/b is being executed by process 4711") as caught:
        run_instances(sample.frame("cost"), "flow/cost.py")
    assert caught.value.results["status"].tolist() == ["up to date", "failed", "up to date"]
    (told,) = caught.value.records
    assert (told.step, told.instance_name, told.status, told.results) == ("cost", "b", "not run", None)
    assert "cost: 0 to run, 1 running in another process, 2 up to date\n" in capsys.readouterr().err


@pytest.mark.engines("fork", "spawn")
def test_a_later_clash_is_told_once(sample: Sample) -> None:
    """Somebody who takes an instance between plan and execution is named in the row's error."""
    impatient(sample)
    with locked(sample.folder("cost/b")):
        frame = sample.run("cost", force=True)
        assert frame["status"].tolist() == ["done", "failed", "done"]
        told = "InstanceBusyError: cost/b is being executed by another process at this moment"
        assert frame["error"].tolist()[1] == told
        (sample.folder("cost/b") / "cost.csv").unlink()
        with pytest.raises(InstanceBusyError, match="cost/b is being executed by another process"):
            run_cost(sample, "b")


def test_a_single_busy_instance_is_refused(sample: Sample) -> None:
    """`run_notebook` has no other rows to go on with."""
    impatient(sample)
    with elsewhere(sample), pytest.raises(InstanceBusyError, match="by process 4711 since"):
        run_cost(sample, "b")


def test_a_busy_instance_is_not_written_by_a_script(sample: Sample) -> None:
    """`--output-dir` asks the same place, and leaves the record alone."""
    script = ("flow/cost.py", "--config", "runs/cost/b/config.json", "--output-dir", "runs/cost/b")
    with elsewhere(sample):
        before = sample.record("cost", "b")
        done = subprocess.run([sys.executable, *script], check=False, capture_output=True, text=True)
        assert sample.record("cost", "b") == before
    assert done.returncode == 2
    assert done.stderr.endswith("runs/cost/b is being written by another process at this moment\n")


def test_plan_of_a_busy_instance(sample: Sample) -> None:
    """`ductaflow plan` says so, too."""
    with elsewhere(sample):
        arguments = ("plan", "flow/cost.py", "--config", "runs/cost/b/config.json", "--name", "b")
        assert call(*arguments) == "cost/b: running in another process\n"


def test_a_busy_instance_is_not_refreshed(sample: Sample) -> None:
    """A notebook is renewed while nobody else writes in its folder; the next call makes up for it."""
    sample.edit("flow/cost.py", "# The links", "# All links")
    with locked(sample.folder("cost/b")):
        assert sample.run("cost")["status"].tolist() == ["refreshed", "up to date", "refreshed"]
    assert sample.run("cost")["status"].tolist() == ["up to date", "refreshed", "up to date"]


def test_a_newer_record_is_not_overwritten(sample: Sample) -> None:
    """What has run since it was looked at is neither accepted nor removed."""
    sample.edit("lib/rates.py", "2", "3")
    present = Present(Project.at(sample.root))
    (found,) = examine(present, "cost", ["b"])
    removal = plan_removal(present.project.runs_dir, "cost", "b")
    sample.edit_record("cost/b", started="2030-01-01T00:00:00.000+00:00")
    with pytest.raises(InstanceBusyError, match="written by another process meanwhile"):
        accept(found, present)
    with pytest.raises(InstanceBusyError, match="written by another process meanwhile"):
        remove(removal)
    assert sample.record("cost", "b")["accepted"] is None
    assert (sample.folder("cost/b") / "cost.csv").is_file()


def test_accept_leaves_a_busy_instance(sample: Sample) -> None:
    """The others are accepted."""
    sample.edit("lib/rates.py", "2", "3")
    with locked(sample.folder("cost/b")):
        lines = call("accept", "cost").splitlines()
    told, summary = [line.split(" (")[0] for line in lines[:-1]], lines[-1]
    assert told == ["cost/a: accepted", "cost/b: left as it is", "cost/c: accepted"]
    assert summary.startswith("cost: 2 instances accepted without being executed, 1 left unchanged; ")
    assert set(sample.plan("cost")) == {"cost/b"}


def test_the_upstream_of_a_missing_input_is_seen_from_now(sample: Sample) -> None:
    """A missing file that an interrupted instance should have written is told as such."""
    (sample.folder("cost/a") / "cost.csv").unlink()
    missing = "input missing: runs/cost/a/cost.csv"
    with elsewhere(sample, "a"):
        assert sample.plan("sum") == {"sum/a": f"{missing} (cost/a: running)"}
    assert sample.plan("sum") == {"sum/a": f"{missing} (cost/a: interrupted)"}


def test_a_page_is_written_while_instances_run(sample: Sample) -> None:
    """`ductaflow report` asks the same place."""
    page = Path(write_index(Project.at(sample.root)))
    with elsewhere(sample):
        assert "the process that ran it is gone" not in write_index(Project.at(sample.root)).read_text()
    write_index(Project.at(sample.root))
    assert "the process that ran it is gone" in page.read_text()

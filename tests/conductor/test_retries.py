"""A failure that may pass is tried again at once; every attempt leaves its log, and the record tells of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ductaflow import ConfigError, FlowError, InstancesFailed, ProjectError, run_instances, run_notebook
from ductaflow_runtime.debug import make_debug_notebook
from ductaflow_runtime.staleness.prune import plan_removal, remove
from tests.conftest import Project

# Counts its executions outside the project, where they are no inputs, and fails the first `config["bad"]` times.
COUNT = """
import os
import ductaflow
place = os.environ["DF_COUNTS"] + "/" + os.path.basename(os.getcwd())
count = int(open(place).read()) + 1 if os.path.exists(place) else 1
open(place, "w").write(str(count))
print("attempt", count)
open(f"made{count}.txt", "w").write("x")
"""
FLAKY = (
    COUNT
    + 'if count <= config["bad"]:\n    raise OSError(f"no licence, {count}")\nductaflow.save_results(count=count)\n'
)


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "counts"
    folder.mkdir()
    monkeypatch.setenv("DF_COUNTS", str(folder))
    return folder


def names(project: Project, name: str = "one") -> list[str]:
    return sorted(path.name for path in (project.root / "runs/step" / name).iterdir())


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_failure_that_passes_ends_well(project: Project, counts: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The row is done; the record tells of all attempts, their logs are kept, and none is an output."""
    project.flow(FLAKY)
    frame = run_instances(pd.DataFrame({"instance_name": ["one"], "bad": [2]}), "flow/step.py", retries=3)
    assert frame["status"].tolist() == ["done"]
    assert frame["reason"].tolist() == ["new"]
    record = project.record("step", "one")
    told = [(each["status"], each["error"], each["log"]) for each in record["attempts"]]
    assert told == [
        ("failed", "OSError: no licence, 1 in cell 2", "run.attempt-1.log"),
        ("failed", "OSError: no licence, 2 in cell 2", "run.attempt-2.log"),
        ("done", None, "run.log"),
    ]
    assert all(each["duration_s"] >= 0 for each in record["attempts"])
    assert list(record["outputs"]) == ["made3.txt"]
    own = ["config.json", "made3.txt", "run.attempt-1.log", "run.attempt-2.log", "run.json", "run.log", "step.ipynb"]
    assert names(project) == own
    for number, log in enumerate(["run.attempt-1.log", "run.attempt-2.log", "run.log"], start=1):
        assert f"attempt {number}\n" in (project.root / "runs/step/one" / log).read_text()
    err = capfd.readouterr().err
    assert "step/one: retry 1 of 3, after OSError: no licence, 1 in cell 2\n" in err
    assert "step/one: retry 2 of 3" in err
    assert "retry 3" not in err


def test_the_last_failure_counts(project: Project, counts: Path) -> None:
    """After the last attempt the row has failed, once, and other rows ran meanwhile."""
    project.flow(FLAKY)
    rows = pd.DataFrame({"instance_name": ["a", "b", "c"], "bad": [9, 0, 1]})
    with pytest.raises(InstancesFailed) as caught:
        run_instances(rows, "flow/step.py", retries=np.int64(2), workers=1)
    assert caught.value.results["status"].tolist() == ["failed", "done", "done"]
    assert caught.value.results["error"].tolist()[0] == "OSError: no licence, 3 (cell 2)"
    assert [path.read_text() for path in sorted(counts.iterdir())] == ["3", "1", "2"]
    assert project.record("step", "b")["attempts"] is None
    assert len(project.record("step", "a")["attempts"]) == 3


def test_on_error_sees_the_last_attempt_only(project: Project, counts: Path) -> None:
    """A failure that is tried again stops nothing."""
    project.flow(FLAKY)
    rows = pd.DataFrame({"instance_name": ["a", "b"], "bad": [1, 0]})
    frame = run_instances(rows, "flow/step.py", retries=1, workers=1, on_error="stop")
    assert frame["status"].tolist() == ["done", "done"]


def test_the_next_execution_begins_anew(project: Project, counts: Path) -> None:
    """The logs of earlier attempts go with what the last execution wrote, good results are kept with theirs."""
    project.flow(FLAKY)
    run_notebook("flow/step.py", {"bad": 1}, instance_name="one", retries=1)
    assert "run.attempt-1.log" in names(project)
    (counts / "one").unlink()
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", {"bad": 5}, instance_name="one")
    assert "run.attempt-1.log" not in names(project)
    assert project.record("step", "one")["attempts"] is None
    kept = project.root / "runs/.ductaflow/previous/step/one"
    assert (kept / "run.attempt-1.log").is_file()
    (counts / "one").unlink()
    record = run_notebook("flow/step.py", {"bad": 0}, instance_name="one", retries=1)
    assert record.attempts is None
    assert not kept.exists()


def test_the_last_good_results_outlive_all_attempts(project: Project, counts: Path) -> None:
    """They are kept from before the first."""
    project.flow(FLAKY)
    run_notebook("flow/step.py", {"bad": 0}, instance_name="one")
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", {"bad": 9}, instance_name="one", retries=2)
    assert caught.value.record.previous is not None
    assert (caught.value.record.previous / "made1.txt").is_file()
    assert [name for name in names(project) if name.startswith("made")] == ["made4.txt"]


def test_a_file_of_that_name_is_never_lost(project: Project, counts: Path) -> None:
    """What somebody else put where a log goes is kept."""
    project.flow(FLAKY)
    folder = project.root / "runs/step/one"
    folder.mkdir(parents=True)
    (folder / "run.attempt-1.log").write_text("mine")
    run_notebook("flow/step.py", {"bad": 1}, instance_name="one", retries=1)
    (kept,) = (project.root / "runs/.ductaflow/edited/step/one").rglob("run.attempt-1.log")
    assert kept.read_text() == "mine"


def test_deaths_and_timeouts_are_tried_again(project: Project, counts: Path) -> None:
    """They may pass too."""
    project.flow(COUNT + "import time\nif count == 1:\n    os._exit(3)\nif count == 2:\n    time.sleep(600)\n")
    record = run_notebook("flow/step.py", instance_name="one", retries=2, timeout=5)
    assert record.attempts is not None
    errors = [told["error"] for told in record.attempts]
    assert errors[0] == "Died: the process ended with exit code 3 before the flow did in cell 2"
    assert errors[1].startswith("Timeout: timed out after 5 s")
    assert record.status == "done"


@pytest.mark.parametrize(
    "body",
    [
        "import ductaflow_no_such_module_behind",
        "eval('1 +')",
        "ductaflow.save_results(a={1, 2})",
        "raise KeyboardInterrupt",
    ],
)
def test_what_comes_again_is_not_tried_again(project: Project, counts: Path, body: str) -> None:
    """Syntax, missing modules, what cannot be stored; and an interrupt is somebody's wish."""
    project.flow(COUNT + f"if True:\n    {body}\n")
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", instance_name="one", retries=3)
    assert (counts / "one").read_text() == "1"


def test_the_setting_is_the_default(project: Project, counts: Path) -> None:
    """`retries` in pyproject.toml counts where a call says nothing; it makes nothing run again."""
    project.settings(retries=1)
    project.flow(FLAKY)
    assert run_notebook("flow/step.py", {"bad": 1}, instance_name="one").status == "done"
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", {"bad": 1}, instance_name="two", retries=0)
    project.settings(retries=5)
    assert run_notebook("flow/step.py", {"bad": 1}, instance_name="one").skipped


@pytest.mark.parametrize("given", [-1, 1.5, True, "2"])
def test_a_number_that_is_none_is_refused(project: Project, given: object) -> None:
    """Before anything runs, as an argument and as a setting."""
    project.flow("1\n")
    with pytest.raises(ConfigError, match="retries must be a whole number, 0 or more, not "):
        run_notebook("flow/step.py", retries=given)  # type: ignore[arg-type]
    project.settings(retries=given)
    with pytest.raises(ProjectError, match="retries must be a whole number, 0 or more, not "):
        run_notebook("flow/step.py")


def test_logs_of_attempts_are_no_files_of_others(project: Project, counts: Path) -> None:
    """`ductaflow debug` does not take them along, and `ductaflow prune` removes them."""
    project.flow(FLAKY)
    run_notebook("flow/step.py", {"bad": 1}, instance_name="one", retries=1)
    notebook = make_debug_notebook("runs/step/one")
    assert [path.name for path in notebook.parent.iterdir()] == ["step.ipynb"]
    removal = plan_removal(project.root / "runs", "step", "one")
    assert removal.foreign == ()
    remove(removal)
    assert not (project.root / "runs/step/one").exists()


def test_a_record_lists_no_log_elsewhere(project: Project, counts: Path) -> None:
    """What a record lists is deleted, so a name that leads out of the folder makes it a damaged one."""
    import json

    project.flow(FLAKY)
    run_notebook("flow/step.py", {"bad": 1}, instance_name="one", retries=1)
    outside = project.write("runs/step/precious.log", "mine")
    record = project.record("step", "one")
    record["attempts"][0]["log"] = "../precious.log"
    (project.root / "runs/step/one/run.json").write_text(json.dumps(record))
    again = run_notebook("flow/step.py", {"bad": 1}, instance_name="one")
    assert again.reason is not None
    assert again.reason.startswith("record damaged: ")
    assert outside.read_text() == "mine"

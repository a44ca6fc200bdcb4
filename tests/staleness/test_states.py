"""Changes of what an execution left, and of where it took place: what executes, and the reason given."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.staleness.cases import COSTS, Case, check, each, parameters
from tests.staleness.sample import Sample, copy_of

PANDAS = importlib.metadata.version("pandas")


def record(instance: str, **changes: object) -> Callable[[Sample], None]:
    return lambda sample: sample.edit_record(instance, **changes)


def delete(*names: str) -> Callable[[Sample], None]:
    def change(sample: Sample) -> None:
        for name in names:
            (sample.root / "runs" / name).unlink()

    return change


def edit_output(sample: Sample) -> None:
    sample.edit("runs/cost/b/cost.csv", "8", "88")


def failed_then_mended(sample: Sample) -> None:
    broken = sample.root.parent / "broken_b"
    broken.touch()
    sample.run("cost", force=True)
    broken.unlink()
    assert sample.record("cost", "b")["status"] == "failed"


def failed_then_edited(sample: Sample) -> None:
    failed_then_mended(sample)
    sample.row("cost", "b")["year"] = 2021


def fingerprint(instance: str, **parts: object) -> Callable[[Sample], None]:
    def change(sample: Sample) -> None:
        was = sample.record(*instance.split("/"))["fingerprint"]
        sample.edit_record(instance, fingerprint={**was, **parts})

    return change


def damage(text: str) -> Callable[[Sample], None]:
    return lambda sample: (sample.folder("cost/b") / "run.json").write_text(text)


def new_times(sample: Sample) -> None:
    """What `git clone` or an unpacked archive gives: the same bytes, other times."""
    for path in sample.root.rglob("*"):
        if path.is_file():
            os.utime(path, (1e9, 1e9))


def moved(sample: Sample) -> None:
    target = sample.root.parent / "moved project"
    sample.root.rename(target)
    sample.root = target
    os.chdir(target)


def from_elsewhere(sample: Sample) -> None:
    os.chdir(sample.root / "flow")


def no_cache(sample: Sample) -> None:
    shutil.rmtree(sample.root / "runs/.ductaflow")


def by_command_line(sample: Sample) -> None:
    """Delete an instance, then run its flow as a script into the same folder."""
    config = sample.write("given.json", (sample.folder("cost/b") / "config.json").read_text())
    shutil.rmtree(sample.folder("cost/b"))
    command = [sys.executable, "flow/cost.py", "--config", config.name, "--output-dir", "runs/cost/b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sample.record("cost", "b")["reason"] == "new"


def by_command_line_with_another_value(sample: Sample) -> None:
    command = [sys.executable, "flow/cost.py", "--config", "runs/cost/b/config.json"]
    command += ["--set", "fare.base=4", "--output-dir", "runs/cost/b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sample.record("cost", "b")["reason"] == "config: fare.base 2 -> 4"


CASES = [
    Case("output deleted", delete("cost/c/cost.csv"), {"cost/c": "output missing: cost.csv"}),
    Case("output edited", edit_output, {"cost/b": "output changed: cost.csv"}),
    Case("output touched", lambda sample: os.utime(sample.folder("cost/b") / "cost.csv")),
    Case("file of one's own in the folder", lambda sample: sample.write("runs/cost/b/notes.md", "mine")),
    Case("log and notebook deleted", delete("cost/b/run.log", "cost/b/cost.ipynb", "cost/b/config.json")),
    Case("failed", failed_then_mended, {"cost/b": "failed"}),
    Case("failed and config changed", failed_then_edited, {"cost/b": "failed; config: year 2020 -> 2021"}),
    Case("interrupted", record("cost/b", status="interrupted"), {"cost/b": "interrupted"}),
    Case("process gone", record("cost/b", status="running", fingerprint=None), {"cost/b": "interrupted"}),
    Case("no fingerprint", record("cost/b", fingerprint=None), {"cost/b": "record has no fingerprint"}),
    Case("record deleted", delete("cost/b/run.json"), {"cost/b": "new"}),
    Case(
        "package upgraded",
        fingerprint("cost/b", packages={"pandas": "1.0"}),
        {"cost/b": f"package: pandas 1.0 -> {PANDAS}"},
    ),
    Case(
        "package gone",
        fingerprint("cost/b", packages={"pandas": PANDAS, "no-such-package": "2.1"}),
        {"cost/b": "package: no-such-package 2.1 -> not installed"},
    ),
    Case("project moved", moved),
    Case("fresh clone", new_times),
    Case("started from another folder", from_elsewhere),
    Case("hidden cache deleted", no_cache),
    Case("command line then conductor", by_command_line),
    Case(
        "command line with another config then conductor",
        by_command_line_with_another_value,
        back=("cost/b",),
    ),
    Case("other engine", lambda sample: sample.settings(workers=2, engine="spawn")),
    Case("other number of workers", lambda sample: sample.settings(workers=1)),
    Case("longer time limit", lambda sample: sample.settings(workers=2, timeout=100)),
    Case("memory limit and grace", lambda sample: sample.settings(workers=2, max_memory="2 GB", grace=5)),
    Case(
        "one of two steps that share a flow",
        lambda sample: sample.row("second", "a").update({"fare.base": 8}),
        {"second/a": "config: fare.base 7 -> 8"},
    ),
]


@pytest.mark.parametrize("case", parameters(CASES))
def test_states(sample: Sample, case: Case) -> None:
    """What is missing, broken or half done executes again; moving or copying a project executes nothing."""
    check(sample, case)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "run.json is not valid JSON"),
        ('{"schema": 99}', "run.json has schema 99"),
        ('{"schema": 1, "status": "odd"}', "run.json has the unknown status 'odd'"),
    ],
)
def test_a_damaged_record(sample: Sample, text: str, reason: str) -> None:
    """An instance whose record cannot be read executes; the reason says what is wrong with it."""
    damage(text)(sample)
    planned = sample.plan("cost")
    assert list(planned) == ["cost/b"]
    assert planned["cost/b"].startswith("record damaged: ")
    assert reason in planned["cost/b"]
    assert sample.run("cost")["reason"].tolist() == [None, planned["cost/b"], None]
    assert sample.plan("cost") == {}


@pytest.mark.engines("fork", "spawn")
def test_an_upgrade_of_ductaflow_executes_nothing(sample: Sample) -> None:
    """The fingerprint holds the packages that the flow imports, ductaflow not among them."""
    assert set(sample.record("cost", "a")["fingerprint"]["packages"]) == {"pandas"}
    assert set(sample.record("sum", "a")["fingerprint"]["packages"]) == set()
    assert set(sample.record("read", "csv_config")["fingerprint"]["packages"]) == {"numpy", "pandas"}


def test_a_copy_of_the_project_shares_nothing(sample: Sample, tmp_path: Path) -> None:
    """A copied project is up to date, and changes in one do not reach the other."""
    other = copy_of(sample.root, tmp_path / "other", sample.engine)
    sample.edit("lib/rates.py", "2", "3")
    os.chdir(other.root)
    assert [other.plan(step) for step in other.rows] == [{}] * 6


def test_forced(sample: Sample) -> None:
    """With `force` every row executes, and the reason says so in plan, result and record."""
    frame = sample.run("cost", force=True)
    assert frame["reason"].tolist() == ["forced"] * 3
    assert sample.record("cost", "a")["reason"] == "forced"
    assert sample.plan("cost") == {}


def test_all_causes_are_listed(sample: Sample) -> None:
    """Several causes are all in the reason, joined by semicolons."""
    sample.row("cost", "b")["year"] = 2021
    sample.edit("flow/cost.py", "float(total)", "float(total) + 0")
    sample.edit("lib/rates.py", "2", "4")
    (sample.root / "data/b.csv").write_text("length\n4\n")
    (sample.folder("cost/b") / "cost.csv").unlink()
    shared = "code: cell 4; module: lib/rates.py"
    assert sample.plan("cost") == each(COSTS, shared) | {
        "cost/b": f"config: year 2020 -> 2021; {shared}; input: data/b.csv; output missing: cost.csv"
    }


def test_planning_changes_nothing(sample: Sample) -> None:
    """A plan leaves all files under runs/ as they were, but for a hidden cache."""

    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in (sample.root / "runs").rglob("*") if path.is_file()]
        shown = [path for path in files if ".ductaflow" not in path.parts]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in shown}

    before = state()
    sample.edit("flow/cost.py", "# The links", "# All links")
    sample.edit("lib/rates.py", "2", "4")
    for step in sample.rows:
        sample.plan(step)
    assert state() == before


@pytest.mark.engines("fork", "spawn", "kernel")
def test_stored_paths_are_the_projects(sample: Sample) -> None:
    """No record holds the path of the folder in which the project lies."""
    for path in (sample.root / "runs").glob("*/*/run.json"):
        fingerprint = json.loads(path.read_text())["fingerprint"]
        names = [*fingerprint["modules"], *fingerprint["inputs"]]
        assert not [name for name in names if Path(name).is_absolute()]

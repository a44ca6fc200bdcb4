"""A page reads only what has changed since the last one, and shows what one made from nothing would."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.page_samples import png, write_instance, write_sweep
from ductaflow import run_instances, run_notebook
from ductaflow_runtime.cli.report import write_index
from ductaflow_runtime.files import read_regular
from ductaflow_runtime.project import Project as RealProject
from ductaflow_runtime.status_page import PageWriter, write_page
from ductaflow_runtime.status_page.rows import RowReader
from tests.cli.test_commands import call
from tests.conftest import Project
from tests.status_page.reading import column

STEP = "assign_traffic"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A sweep with failures, figures and logs, and a record that is damaged, of which a page was written."""
    runs = tmp_path / "runs"
    write_sweep(runs, 60, figures=True)
    (write_instance(runs, STEP, "bad") / "run.json").write_text("{", encoding="utf-8")
    write_instance(runs, STEP, "dür \udc80", config={"nested": {"a": [1, None]}, "text": "\u2028"})
    write_page(runs, title="Study")
    return runs


def content(runs: Path) -> str:
    """The page as it is written now, its time left out."""
    return re.sub(r'"written":"[^"]*"', "", write_page(runs, title="Study").read_text(encoding="utf-8"))


def from_nothing(runs: Path) -> str:
    """The same by a process that remembers nothing."""
    shutil.rmtree(runs / ".ductaflow" / "page")
    return content(runs)


def edit(runs: Path, name: str, **changes: object) -> None:
    """Change a record as an execution does."""
    path = runs / STEP / name / "run.json"
    text = json.dumps({**json.loads(path.read_text()), **changes})
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    os.replace(path.with_suffix(".new"), path)


def redraw(runs: Path, name: str) -> None:
    """Execute an instance again, with another figure."""
    shutil.rmtree(runs / STEP / name)
    write_instance(runs, STEP, name, figure=png(seed=7))


def first(runs: Path) -> str:
    """The name of an instance."""
    return min(folder.name for folder in (runs / STEP).iterdir() if folder.name.startswith("base"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda runs: None,
    "a result": lambda runs: edit(runs, first(runs), results={"mean_travel_time_min": 1}),
    "a failure": lambda runs: edit(runs, first(runs), status="failed", error={"type": "E", "message": "m", "cell": 2}),
    "an interruption": lambda runs: edit(runs, first(runs), status="running"),
    "a new instance": lambda runs: write_instance(runs, "other", "new", figure=png()),
    "a deleted instance": lambda runs: shutil.rmtree(runs / STEP / first(runs)),
    "a deleted record": lambda runs: (runs / STEP / first(runs) / "run.json").unlink(),
    "a page beside": lambda runs: (runs / STEP / first(runs) / f"{STEP}.html").touch(),
    "a repaired record": lambda runs: shutil.copy(runs / STEP / first(runs) / "run.json", runs / STEP / "bad"),
    "another figure": lambda runs: redraw(runs, first(runs)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_page_is_as_one_made_from_nothing(runs: Path, change: str) -> None:
    """Whatever has changed since the last page is read anew."""
    CHANGES[change](runs)
    assert content(runs) == content(runs) == from_nothing(runs)


@pytest.mark.parametrize("damage", ["", "nonsense\n", "1\n[1]\n", "1\nnull\n{}\n", '1\n[[1,2,3,4],["a"]]\n'])
@pytest.mark.parametrize("name", ["rows", "figures"])
def test_a_damaged_memory_is_made_anew(runs: Path, name: str, damage: str) -> None:
    """It only costs time."""
    expected = content(runs)
    (runs / ".ductaflow" / "page" / f"{name}.jsonl").write_text(damage, encoding="utf-8")
    assert content(runs) == expected


def test_what_has_not_changed_is_not_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process takes the rows from memory: a good record that looks as before is not opened."""
    read: list[str] = []
    edit(runs, first(runs), results={"mean_travel_time_min": 1})

    def look(directory: Path) -> object:
        read.append(directory.name)
        return original(directory)

    from ductaflow_runtime.status_page import rows

    original = rows.look
    monkeypatch.setattr(rows, "look", look)
    assert len(RowReader(runs).read()) == 62
    assert sorted(read) == ["bad", first(runs)]


def test_a_sweep_that_is_soon_over_writes_one_page(tmp_path: Path) -> None:
    """Where there is a page already, a sweep begins with none; where there is none, one can watch from the start."""
    runs = tmp_path / "runs"
    write_instance(runs, "step", "a")
    assert PageWriter(runs, "").write_if_due()
    assert not PageWriter(runs, "").write_if_due()


def test_without_pages(project: Project) -> None:
    """`page = false`: nothing is written but on request."""
    project.settings(page=False)
    project.flow("# %%\nx = config['n']\n")
    run_instances(pd.DataFrame({"n": [1, 2]}), "flow/step.py")
    run_notebook("flow/step.py", {"n": 3})
    assert not (project.root / "runs" / "index.html").exists()
    assert write_index(RealProject.find()).is_file()


def test_a_record_that_could_not_be_read_for_a_moment(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it can be read again, the page says what it says, although the file is as it was."""
    expected, original = content(runs), read_regular
    path = os.fspath(runs / STEP / first(runs) / "run.json")

    def fail(file: str) -> bytes:
        if file == path:
            raise OSError(5, "Input/output error")
        return original(file)

    os.utime(path)
    monkeypatch.setattr("ductaflow_runtime.runs.record.read_regular", fail)
    assert "Input/output error" in content(runs)
    monkeypatch.undo()
    assert content(runs) == expected == from_nothing(runs)


def stale_on_page(project: Project) -> list[object]:
    return column(project.root / "runs/index.html", "about", "stale")


def test_what_is_up_to_date_again_is_no_longer_marked(project: Project) -> None:
    """The page follows what the conductor says, although nothing is executed; nor does anything else touch it."""
    frame = pd.DataFrame({"instance_name": ["a", "b"]})
    project.flow("# %%\nx = 1\n")
    run_instances(frame, "flow/step.py")
    project.flow("# %%\nx = 2\n")
    write_index(RealProject.find())
    assert stale_on_page(project) == ["code: cell 3"] * 2
    project.flow("# %%\nx = 1\n")
    run_instances(frame, "flow/step.py")
    assert stale_on_page(project) == [None, None]
    before = (project.root / "runs/index.html").stat().st_mtime_ns
    run_instances(frame, "flow/step.py")
    assert (project.root / "runs/index.html").stat().st_mtime_ns == before


def test_the_page_follows_accept_and_prune(project: Project) -> None:
    """What these commands change is on the page at once."""
    frame = pd.DataFrame({"instance_name": ["a", "b"]})
    project.flow("# %%\nx = 1\n")
    run_instances(frame, "flow/step.py", whole=True)
    project.flow("# %%\nx = 2\n")
    write_index(RealProject.find())
    call("accept", "step")
    assert stale_on_page(project) == [None, None]
    run_instances(frame.head(1), "flow/step.py", whole=True)  # executes nothing
    assert column(project.root / "runs/index.html", "about", "rowless") == [None, "no row any more"]
    call("prune", "step", "--yes")
    assert column(project.root / "runs/index.html", "about", "name") == ["a"]

"""One reader of `runs/`: status, plan, results and page say the same of a record, however it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import load_results, plan_instances, run_instances
from ductaflow_runtime.cli import main
from ductaflow_runtime.status_page import write_page
from tests.conftest import Project
from tests.status_page.reading import block, column

FRAME = pd.DataFrame({"instance_name": ["bad", "good"], "demand": [1, 2]})
FLOW = "flow/step.py"
Damage = Callable[[Path], object]


def replaced(**changes: Any) -> Damage:
    """Fields of the record changed."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def text(content: str | bytes) -> Damage:
    """Another content altogether."""
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def with_literal(name: str, literal: str) -> Damage:
    """A number that Python would read, and JSON does not have, or that no execution writes."""
    return lambda path: path.write_text(path.read_text().replace(f'"{name}":', f'"{name}":{literal},"was":', 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nested(depth: int) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for _ in range(depth):
        config = {"a": config}
    return config


DAMAGED: dict[str, tuple[Damage, str]] = {
    "an output outside its folder": (replaced(outputs={"../good/run.json": {}}), "outputs"),
    "another type": (replaced(results=[1]), "results"),
    "an unknown schema": (replaced(schema=9), "has schema 9"),
    "an unknown status": (replaced(status="finished"), "unknown status"),
    "a status that no record has": (replaced(status="warnings"), "unknown status"),
    "nothing in it": (text(""), "is not valid JSON"),
    "cut off": (text('{"schema": 1, "stat'), "is not valid JSON"),
    "no object": (text("[1]"), "does not hold a JSON object"),
    "nested without end": (text("[" * 100_000), "is not valid JSON"),
    "a config nested deeper than readers go": (replaced(fingerprint={"config": nested(300)}), "fingerprint.config"),
    "results nested deeper than readers go": (replaced(results=nested(300)), "results"),
    "a folder in its place": (a_folder, "is a folder"),
    "an infinity": (with_literal("duration_s", "Infinity"), "Infinity is no JSON value"),
    "no number": (with_literal("duration_s", "NaN"), "NaN is no JSON value"),
    "a number too large": (with_literal("duration_s", "1e999"), "duration_s"),
    "a duration below zero": (replaced(duration_s=-1), "duration_s"),
    "a duration that is a text": (replaced(duration_s="2"), "duration_s"),
    "a duration that is true": (replaced(duration_s=True), "duration_s"),
    "a duration beyond floats": (replaced(duration_s=10**400), "duration_s"),
    "more warnings than can be": (replaced(warnings=10**400), "warnings"),
    "bytes that are no text": (text(b'{"schema": 1, "status": "\xff"}'), "is not valid JSON"),
    "a lone surrogate in the results": (replaced(results={"x": ["\ud800"]}), "results"),
    "a lone surrogate in the name of a result": (replaced(results={"\ud800": 1}), "results"),
    "an error without words": (replaced(error={"type": 1, "message": "m"}), "error"),
    "an error in no cell": (replaced(error={"type": "E", "message": "m", "cell": "4"}), "error"),
}
SOUND: dict[str, tuple[Damage, str]] = {
    "a byte-order mark": (lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()), "done"),
    "a lone surrogate in the reason": (replaced(reason="\ud800"), "done"),
    "a lone surrogate in an error": (
        replaced(status="failed", error={"type": "E", "message": "\ud800", "cell": 1, "traceback": "\ud800"}),
        "failed",
    ),
    "keys of a newer version": (replaced(colour="red"), "done"),
}


@pytest.fixture(scope="module")
def built(make_project: Callable[[str], Project]) -> Project:
    project = make_project("same-answer")
    project.flow("from ductaflow import save_results\nsave_results(x=config['demand'])\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        run_instances(FRAME, FLOW)
    return project


@pytest.fixture
def record(built: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The record of the instance `bad`, which is put back after the test."""
    monkeypatch.chdir(built.root)
    path = built.root / "runs/step/bad/run.json"
    before = path.read_bytes()
    yield path
    if path.is_dir():
        path.rmdir()
    path.write_bytes(before)


def counted(told: str) -> dict[str, int]:
    """The counts of the first step that `ductaflow status` lists."""
    heads = ["step", "done", "failed", "interrupted", "running", "damaged"]
    return {head: int(count) for head, count in zip(heads[1:], told.splitlines()[1].split()[1:], strict=False)}


def status_text() -> str:
    told = CliRunner().invoke(main, ["status"], catch_exceptions=False)
    assert told.exit_code == 0
    return told.output


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_is_damaged_to_everybody(record: Path, damage: str) -> None:
    """Each says that it is damaged, why, and that the instance will run again; the other row is as ever."""
    make, cause = DAMAGED[damage]
    make(record)
    results = load_results("step")
    assert results["status"].tolist() == ["damaged", "done"]
    told = results["error"].tolist()[0]
    assert cause in told
    assert plan_instances(FRAME, FLOW)["reason"].tolist() == [f"record damaged: {told}", None]
    status = status_text()
    assert counted(status) == {"done": 1, "failed": 0, "interrupted": 0, "running": 0, "damaged": 1}
    assert f"step/bad: record damaged: {told}" in status
    page = write_page(record.parents[2], title="")
    assert column(page, "about", "status") == ["damaged", "done"]
    assert f"{record.parent}/{column(page, 'about', 'problem')[0]}" == told


@pytest.mark.parametrize("oddity", SOUND)
def test_an_odd_record_is_read_by_everybody(record: Path, oddity: str) -> None:
    """What is only odd costs nobody anything: all see the same state."""
    make, state = SOUND[oddity]
    make(record)
    assert load_results("step")["status"].tolist() == [state, "done"]
    assert plan_instances(FRAME, FLOW)["reason"].tolist() == ["failed" if state == "failed" else None, None]
    assert counted(status_text())["damaged"] == 0
    assert column(write_page(record.parents[2], title=""), "about", "status") == [state, "done"]


def test_a_record_that_is_gone(record: Path) -> None:
    """A folder in which something lies, but no record, is a damaged instance; an empty one is none yet."""
    (record.parents[1] / "empty").mkdir()
    before = record.read_bytes()
    record.unlink()
    results = load_results("step")
    assert results["status"].tolist() == ["damaged", "done"]
    assert results["error"].tolist()[0] == "no run.json"
    assert "step/bad: no run.json" in status_text()
    page = write_page(record.parents[2], title="")
    assert column(page, "about", "name") == ["bad", "good"]
    assert column(page, "about", "problem")[0] == "no run.json"
    (record.parents[1] / "empty").rmdir()
    record.write_bytes(before)


@pytest.fixture
def edited(built: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project after a change of its flow, which is taken back after the test."""
    monkeypatch.chdir(built.root)
    flow = built.root / FLOW
    before = flow.read_text()
    flow.write_text(before + "\nprint('more')\n")
    yield built.root / "runs"
    flow.write_text(before)


def test_what_is_no_longer_up_to_date_is_marked_as_status_lists_it(edited: Path) -> None:
    """`ductaflow report` looks at the same moment as it writes; the reasons are those of the plan."""
    page = Path(CliRunner().invoke(main, ["report"], catch_exceptions=False).output.strip())
    reasons = plan_instances(FRAME, FLOW)["reason"].tolist()
    assert None not in reasons
    assert column(page, "about", "stale") == reasons
    assert column(page, "about", "status") == ["done", "done"]
    assert f"2  {reasons[0]}  (step/bad, step/good)" in status_text()
    assert block(page, "page-about")["examined"] is not None


def test_a_sweep_leaves_a_page_that_knows_of_all_steps(edited: Path) -> None:
    """After one row ran again, the page marks the other one, and has the project's name as its title."""
    run_instances(FRAME[FRAME["instance_name"] == "good"], FLOW)
    page = edited / "index.html"
    stale = column(page, "about", "stale")
    assert stale[0] is not None
    assert stale[1:] in ([], [None])
    assert block(page, "page-about")["title"] == "tiny"

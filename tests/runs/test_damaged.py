"""Records that are not as an execution writes them, and notebooks that cannot be refreshed: one row's matter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from ductaflow import RecordError, load_results
from ductaflow_runtime.runs.record import Record, read_record
from tests.cli.test_commands import call, section
from tests.staleness.sample import Sample

WRONG: dict[str, Any] = {
    "fingerprint.modules": {"a.py": None},
    "fingerprint.inputs": {"a.csv": "x"},
    "fingerprint.packages": ["a"],
    "fingerprint.config": [1],
    "fingerprint.code": {"cells": [1]},
    "fingerprint": [],
    "outputs": {"../b/cost.csv": {}},
    "results": [1],
    "error": {"message": 1},
    "environment": "here",
    "started": 1,
    "flow": "flow/\0.py",
    "duration_s": "1",
    "cpu_s": -1,
    "peak_memory": 1.5,
    "warnings": 1.5,
}
MORE_WRONG: list[dict[str, Any]] = [
    {"fingerprint": {"modules": [1]}},
    {"fingerprint": {"inputs": {"\ud800": {"names": "x"}}}},
    {"fingerprint": {"packages": {"a": None}}},
    {"fingerprint": {"code": {"text": 1}}},
    {"fingerprint": {"code": [1]}},
    {"outputs": {"/etc/x": {}}},
    {"outputs": {"": {}}},
    {"outputs": ["a"]},
    {"links": ["../../b/cost.csv"]},
    {"links": [1]},
    {"links": "cost.csv"},
    {"duration_s": float("nan")},
]


def record_with(sample: Sample, changes: dict[str, Any]) -> None:
    sample.edit_record("cost/b", **changes)


def one_damaged(sample: Sample) -> str:
    """Plan, results and status of cost, in which cost/b alone is damaged; what the plan says of it."""
    planned = sample.plan("cost")
    assert list(planned) == ["cost/b"]
    assert planned["cost/b"].startswith("record damaged: ")
    assert load_results("cost")["status"].tolist() == ["done", "damaged", "done"]
    assert section(call("status", "cost"), "Damaged records") == [f"cost/b: {planned['cost/b']}"]
    return planned["cost/b"]


@pytest.mark.parametrize("part", WRONG)
def test_a_malformed_record_is_a_damaged_one(sample: Sample, part: str) -> None:
    """Each part of a record is checked when it is read; the reason names the part, and the instance runs."""
    outer, _, inner = part.partition(".")
    record_with(sample, {outer: {inner: WRONG[part]} if inner else WRONG[part]})
    assert f"{part} is not as an execution writes it" in one_damaged(sample)
    assert sample.run("cost")["status"].tolist() == ["up to date", "done", "up to date"]
    assert sample.plan("cost") == {}


@pytest.mark.parametrize("changes", MORE_WRONG, ids=repr)
def test_malformed_in_other_ways(sample: Sample, changes: dict[str, Any]) -> None:
    """However deep it is, a wrong shape is noticed at the border."""
    record_with(sample, changes)
    with pytest.raises(RecordError):
        read_record(sample.folder("cost/b"))


@pytest.mark.filterwarnings("ignore:the results of cost")
def test_what_may_be_unknown(sample: Sample) -> None:
    """`null` is right for every part but schema and status."""
    unknown = dict.fromkeys(Record().to_json()) | {"schema": 1, "status": "done"}
    for fingerprint in (None, dict.fromkeys(("config", "code", "modules", "inputs", "packages"))):
        record_with(sample, unknown | {"fingerprint": fingerprint})
        assert read_record(sample.folder("cost/b")) is not None
        assert load_results("cost")["status"].tolist() == ["done"] * 3


def test_nesting_without_end(sample: Sample) -> None:
    """A record that is nested deeper than can be read is damaged."""
    (sample.folder("cost/b") / "run.json").write_text("[" * 100_000)
    assert "is not valid JSON" in one_damaged(sample)


@pytest.mark.engines("fork", "spawn")
def test_a_folder_in_the_place_of_the_record(sample: Sample) -> None:
    """It is told as what it is, by the plan and by the row that cannot run; the others do."""
    (sample.folder("cost/b") / "run.json").unlink()
    (sample.folder("cost/b") / "run.json").mkdir()
    assert "run.json is a folder, where the record should be; move it away" in one_damaged(sample)
    frame = sample.run("cost", force=True)
    assert frame["status"].tolist() == ["done", "failed", "done"]
    assert "run.json is a folder, where the record should be; move it away" in frame["error"].tolist()[1]


def test_a_record_of_a_newer_version(sample: Sample) -> None:
    """The message says what to do."""
    record_with(sample, {"schema": 2})
    wanted = "has schema 2; this version reads 1: update ductaflow in this environment, or run the instance again"
    assert wanted in one_damaged(sample)


def cut(text: str) -> str:
    return text[:200]


def without_a_cell(text: str) -> str:
    notebook = json.loads(text)
    del notebook["cells"][-1]
    return json.dumps(notebook)


def with_a_cell(text: str) -> str:
    notebook = json.loads(text)
    extra = {"cell_type": "code", "id": "x", "metadata": {}, "source": "1", "outputs": [], "execution_count": None}
    notebook["cells"].append(extra)
    return json.dumps(notebook)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (cut, "Notebook does not appear to be JSON"),
        (without_a_cell, "it has 4 code cells where the flow has 5"),
        (with_a_cell, "it has 6 code cells where the flow has 5"),
        (lambda _: "[]", ""),
        (lambda _: "{}", ""),
    ],
)
def test_a_notebook_that_cannot_be_refreshed(
    sample: Sample, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], cause: str
) -> None:
    """It is left alone, with one line that says what to do; stale rows run, others are refreshed."""
    path = sample.folder("cost/b") / "cost.ipynb"
    path.write_text(change(path.read_text()))
    before = path.read_text()
    sample.edit("flow/cost.py", "# The links", "# All links")
    sample.row("cost", "c")["year"] = 2021
    assert sample.run("cost")["status"].tolist() == ["refreshed", "up to date", "done"]
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ductaflow: ")]
    assert len(told) == 1
    assert re.fullmatch(
        rf"ductaflow: cost/b is up to date, but its stored notebook could not be renewed \({re.escape(cause)}.*\) "
        "and stays as it is; run it with force=True to have a new one",
        told[0],
    )
    assert path.read_text() == before
    assert sample.run("cost")["status"].tolist() == ["up to date"] * 3
    assert sample.run("cost", force=True)["status"].tolist() == ["done"] * 3
    assert sample.plan("cost") == {}
    assert "could not be renewed" in capsys.readouterr().err
    assert sample.run("cost")["status"].tolist() == ["up to date"] * 3
    assert "could not be renewed" not in capsys.readouterr().err


def test_a_page_that_cannot_be_made(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    """A page of a notebook that cannot be read costs the others nothing, either."""
    (sample.folder("cost/b") / "cost.ipynb").write_text("{")
    assert sample.run("cost", export_html=True)["status"].tolist() == ["up to date"] * 3
    assert "cost/b is up to date, but its HTML page could not be renewed" in capsys.readouterr().err
    assert [(sample.folder(f"cost/{name}") / "cost.html").is_file() for name in "abc"] == [True, False, True]

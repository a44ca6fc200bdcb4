"""What `save_results` takes, and that every reader gives it back as it was."""

from __future__ import annotations

import datetime
import json
import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from ductaflow import ConfigError, FlowError, load_results, run_instances, run_notebook, save_results
from ductaflow_runtime.runs.record import read_record, write_record
from tests.conftest import Project

NESTED = """
# %%
import datetime
import numpy as np
import pandas as pd
from ductaflow import save_results

save_results(
    cost={"toll": np.int64(2), "time": {"peak": np.float32(0.5)}},
    curve=np.array([[1, 2], [3, 4]]),
    odd=[1.0, np.nan, [np.inf, -np.inf]],
    day=pd.Timestamp("2026-01-02 03:04"),
    gap=pd.NaT,
    none=pd.NA,
)
save_results({"loss": float("nan"), "worst": float("-inf"), "points": [{"x": float("inf")}]}, best=np.inf)
"""
FLAT = {
    "cost.toll": 2,
    "cost.time.peak": 0.5,
    "curve": [[1, 2], [3, 4]],
    "odd": [1.0, math.nan, [math.inf, -math.inf]],
    "day": "2026-01-02T03:04:00",
    "gap": None,
    "none": None,
    "loss": math.nan,
    "worst": -math.inf,
    "points": [{"x": math.inf}],
    "best": math.inf,
}
MARKS = {
    "odd": {"1": "NaN", "2": {"0": "Infinity", "1": "-Infinity"}},
    "loss": "NaN",
    "worst": "-Infinity",
    "points": {"0": {"x": "Infinity"}},
    "best": "Infinity",
}


def refuse(word: str) -> None:
    """What a strict reader does with what JSON has not."""
    raise AssertionError(word)


@pytest.mark.engines("fork", "spawn", "kernel")
def test_every_reader_gives_results_as_they_were(project: Project) -> None:
    """Objects come back as dotted results, NaN and the infinities as they were; the file is strict JSON."""
    project.flow(NESTED)
    frame = run_instances(pd.DataFrame({"instance_name": ["a"]}), "flow/step.py")
    stored = json.loads((project.root / "runs/step/a/run.json").read_text(), parse_constant=refuse)
    record = read_record(project.root / "runs/step/a")
    assert record is not None
    assert repr(record.results) == repr(FLAT)
    assert stored["not_finite"] == record.not_finite == MARKS
    assert stored["results"]["odd"] == [1.0, None, [None, None]]
    assert stored["results"]["loss"] is None
    for name, value in FLAT.items():
        for table in (frame, load_results("step")):
            found = table[f"result.{name}"].tolist()[0]
            assert repr(found) == repr(value), name
    skipped = run_notebook("flow/step.py", instance_name="a")
    assert skipped.skipped
    assert repr(skipped.results) == repr(FLAT)


def test_a_record_stays_exact_when_it_is_written_again(project: Project) -> None:
    """Reading a record and writing it again changes nothing, whatever numbers it holds."""
    project.flow(NESTED)
    record = run_notebook("flow/step.py", instance_name="a")
    before = (record.directory / "run.json").read_text()
    again = read_record(record.directory)
    assert again is not None
    write_record(again)
    assert (record.directory / "run.json").read_text() == before


def test_a_record_without_marks_reads_as_before(project: Project) -> None:
    """A record of 0.1.0 says nothing of numbers that JSON has not, and is up to date."""
    project.flow("# %%\nfrom ductaflow import save_results\nsave_results(loss=None, n=1)\n")
    record = run_notebook("flow/step.py", instance_name="a")
    path = record.directory / "run.json"
    stored = json.loads(path.read_text())
    assert stored.pop("not_finite") is None
    path.write_text(json.dumps(stored))
    again = run_notebook("flow/step.py", instance_name="a")
    assert again.skipped
    assert again.results == {"loss": None, "n": 1}


@pytest.mark.parametrize("marks", [[], "NaN", {"x": "NaN"}, {"n": "NaN"}, {"gone": "nan"}, {"list": {"3": "NaN"}}])
def test_marks_that_do_not_fit_are_damage(project: Project, marks: object) -> None:
    """A mark where no number is missing makes the record a damaged one, not another result."""
    project.flow("# %%\nfrom ductaflow import save_results\nsave_results(n=1, gone=None, list=[None])\n")
    path = run_notebook("flow/step.py", instance_name="a").directory / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"not_finite": marks}))
    damaged = load_results("step")
    assert damaged["status"].tolist() == ["damaged"]
    assert "not_finite is not as an execution writes it" in damaged["error"][0]


def test_numbers_of_several_rows_stay_exact(project: Project) -> None:
    """A column of whole numbers and floats does not round the whole ones."""
    values = "{'a': 2**53 + 1, 'b': 0.5, 'c': 10**400}"
    project.flow(f"# %%\nfrom ductaflow import save_results\nsave_results(n={values}[config['n']])\n")
    frame = run_instances(pd.DataFrame({"n": ["a", "b", "c"]}), "flow/step.py")
    assert frame["result.n"].tolist() == [2**53 + 1, 0.5, 10**400]


def test_a_name_keeps_its_last_value(project: Project) -> None:
    """An object that is saved again takes the place of the whole one before."""
    project.flow(
        "# %%\nfrom ductaflow import save_results\n"
        "save_results(cost={'toll': 1, 'time': 2}, n=1)\nsave_results(cost={'toll': 3})\nsave_results(n=2)\n"
    )
    assert run_notebook("flow/step.py", instance_name="a").results == {"cost.toll": 3, "n": 2}


def test_a_script_saves_the_same(project: Project) -> None:
    """A script with --output-dir leaves the same record as the conductor."""
    project.flow(NESTED)
    project.write("config/base.json", "{}")
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/a"], check=True)
    record = read_record(project.root / "runs/step/a")
    assert record is not None
    assert repr(record.results) == repr(FLAT)


def circular() -> dict[str, Any]:
    """An object that contains itself, twice."""
    made: dict[str, Any] = {"n": 1}
    made["me"] = made["too"] = made
    return made


def deep() -> list[Any]:
    """A list in a list, and so on."""
    made: list[Any] = []
    for _ in range(100):
        made = [made]
    return made


WRONG = [
    ({"tags": {1, 2}}, "tags: set is not a JSON value"),
    ({"tags": {1, 2}}, "give sorted(...) or list(...) of it"),
    ({"cost": {"all": [pd.Series([1, 2])]}}, "cost.all[0]: pandas"),
    ({"cost": {"all": pd.Series([1, 2])}}, "give its .tolist()"),
    ({"cost": pd.Series({"a": 1})}, "give its .tolist() or its .to_dict() to keep the names in its index"),
    ({"cost": {"all": pd.DataFrame({"a": [1]})}}, 'give its .to_dict("list")'),
    ({"took": {"all": datetime.timedelta(1)}}, "give its .total_seconds()"),
    ({"cost": {"toll": object()}}, "cost.toll: object is not a JSON value"),
    ({"cost": {2: "two"}}, "cost: the key 2 is int; JSON keys are text"),
    ({2: "two"}, "2: a result is named with text, not with int"),
    ({"net": circular()}, "net.me: contains itself"),
    ({"net": deep()}, "nested more than 60 deep"),
    ({"big": 10**5000}, "big: a whole number of more than 4300 digits"),
    ({"cost": {}}, "cost: a result is a value, or an object with at least one in it"),
    ({"a.b": 1, "a": {"b": 2}}, "a.b: the name is given twice"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[message.split(":")[-1] for _, message in WRONG])
def test_a_wrong_value_is_named(given: dict[Any, Any], message: str) -> None:
    """Each kind of value that cannot be stored has a message of its own that names the result."""
    with pytest.raises(ConfigError) as caught:
        save_results({"good": 1, **given})
    assert len(caught.value.problems) == (2 if "net" in given and isinstance(given["net"], dict) else 1)
    assert message in caught.value.problems[0]
    assert str(caught.value).startswith("save_results cannot store:")


@pytest.mark.parametrize("given", [(5,), ("cost", 5), ([1],), ({"a": 1}, {"b": 2})])
def test_a_call_that_names_nothing_is_told_how(given: tuple[Any, ...]) -> None:
    """A value without a name is refused with the call that names it."""
    with pytest.raises(ConfigError, match=r"save_results\(cost=12.5\)"):
        save_results(*given)
    with pytest.raises(ConfigError, match="n: given in the dict and by name"):
        save_results({"n": 1}, n=2)


def test_a_wrong_value_fails_the_instance_with_its_name(project: Project) -> None:
    """The message is the instance's error, and nothing of that call is saved."""
    project.flow("# %%\nfrom ductaflow import save_results\nsave_results(n=1)\nsave_results(m=2, cost={'toll': {1}})\n")
    with pytest.raises(FlowError, match=r"cost\.toll: set is not a JSON value"):
        run_notebook("flow/step.py", instance_name="a")
    assert project.record("step", "a")["results"] == {"n": 1}


def test_values_are_shown_where_there_is_no_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a record the results are shown under the names that they would have."""
    save_results(cost={"toll": 2, "time": float("inf")})
    assert capsys.readouterr().out == "result cost.toll = 2\nresult cost.time = inf\n"

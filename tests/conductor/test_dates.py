"""Dates and what looks like one: `load_results` gives what the control dataframe held."""

from __future__ import annotations

import datetime
import json

import pandas as pd
import pytest

from ductaflow import load_results, run_instances, run_notebook
from tests.conftest import Project


@pytest.mark.parametrize(
    "given",
    [
        ["2023-06-01", "2023-06-02"],
        ["2023-06-01", None],
        ["2023-06-01T00:00:00", "2023-06-02T00:00:00"],
        ["2023-06-01", "never"],
        pd.to_datetime(["2023-06-01 00:00", "2023-06-02 12:30"]),
        pd.to_datetime(["2023-06-01", None]),
        pd.to_datetime(["2023-06-01 12:00:00.000000001", "2023-06-02"], format="ISO8601").tz_localize("UTC"),
        [datetime.date(2023, 6, 1), datetime.date(2023, 6, 2)],
    ],
    ids=["text", "text and a blank", "text with a time", "mixed text", "times", "times and a blank", "zone", "dates"],
)
def test_the_frames_can_be_merged(project: Project, given: object) -> None:
    """The column of `load_results` is the one of `run_instances`: text stays text, and a date is a date."""
    project.settings(unknown_keys="ignore")
    project.flow("print(config)")
    rows = pd.DataFrame({"instance_name": ["a", "b"], "day": given})
    ran = run_instances(rows, "flow/step.py")
    loaded = load_results("step")
    assert loaded["day"].tolist()[0] == ran["day"].tolist()[0]
    assert loaded["day"].isna().tolist() == ran["day"].isna().tolist()
    assert (loaded["day"].dtype.kind == "M") == (ran["day"].dtype.kind == "M")
    known = ran.dropna(subset="day")
    assert known[["day"]].merge(loaded, on="day")["instance_name"].tolist() == known["instance_name"].tolist()
    assert run_instances(rows, "flow/step.py")["status"].tolist() == ["up to date", "up to date"]


def test_dates_inside_objects(project: Project) -> None:
    """By their dotted keys, also of a single call."""
    project.settings(unknown_keys="ignore")
    project.flow("print(config)")
    when = datetime.datetime(2023, 6, 1, 8)
    record = run_notebook("flow/step.py", {"plan": {"from": when, "until": when.isoformat()}}, instance_name="a")
    assert record.dates == ["plan.from"]
    loaded = load_results("step")
    assert loaded["plan.from"].tolist() == [pd.Timestamp(when)]
    assert loaded["plan.until"].tolist() == ["2023-06-01T08:00:00"]


def test_records_that_do_not_say(project: Project) -> None:
    """A record of 0.1.0 gives a timestamp for a text with a time, and text for a date alone; nothing runs again."""
    project.settings(unknown_keys="ignore")
    project.flow("print(config)")
    rows = pd.DataFrame({"instance_name": ["a"], "time": pd.to_datetime(["2023-06-01"]), "day": ["2023-06-01"]})
    run_instances(rows, "flow/step.py")
    path = project.root / "runs" / "step" / "a" / "run.json"
    stored = json.loads(path.read_text())
    assert stored.pop("dates") == ["time"]
    path.write_text(json.dumps(stored))
    assert run_instances(rows, "flow/step.py")["status"].tolist() == ["up to date"]
    loaded = load_results("step")
    assert (loaded["time"].dtype.kind, loaded["day"].tolist()) == ("M", ["2023-06-01"])

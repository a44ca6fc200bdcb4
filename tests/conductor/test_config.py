"""What may go into an instance, and what is refused before anything runs."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ductaflow import ConfigError, plan_instances, run_instances, run_notebook
from tests.conftest import Project

ECHO = """
# %%
import json
from pathlib import Path
Path("seen.json").write_text(json.dumps(config))
"""


def seen(project: Project, name: str) -> Any:
    """The config as the flow had it."""
    return json.loads((project.root / "runs/step" / name / "seen.json").read_text(encoding="utf-8"))


@pytest.mark.engines("fork", "spawn", "kernel")
def test_every_kind_of_value_arrives_exactly(project: Project) -> None:
    """numpy and pandas values in a control dataframe reach the flow as exact JSON values."""
    project.flow(ECHO)
    frame = pd.DataFrame(
        {
            "instance_name": ["a", "b"],
            "count": np.array([5, 2**62], dtype=np.int64),
            "flag": np.array([False, True]),
            "single": np.array([0.1, 2.5], dtype=np.float32),
            "double": [0.1, math.nan],
            "when": pd.to_datetime(["2026-01-02 03:04:05", None]),
            "maybe": pd.array([1, None], dtype="Int64"),
            "nested.deep.value": [1, 2],
            "nested.other": ["x", "y"],
            "mixed": [np.int64(7), (1, np.float64(0.5), None)],
            "where": [Path("data/links.csv"), datetime.date(2026, 5, 4)],
        }
    )
    results = run_instances(frame, "flow/step.py", workers=1)
    assert results["status"].tolist() == ["done", "done"]
    assert seen(project, "a") == {
        "count": 5,
        "flag": False,
        "single": float(np.float32(0.1)),
        "double": 0.1,
        "when": "2026-01-02T03:04:05",
        "maybe": 1,
        "nested": {"deep": {"value": 1}, "other": "x"},
        "mixed": 7,
        "where": "data/links.csv",
    }
    second = seen(project, "b")
    assert second["double"] is None
    assert second["when"] is None
    assert second["maybe"] is None
    assert second["mixed"] == [1, 0.5, None]
    assert second["where"] == "2026-05-04"
    assert type(second["count"]) is int
    assert json.loads((project.root / "runs/step/a/config.json").read_text()) == seen(project, "a")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1, 2}, "set"),
        (object(), "object"),
        (math.inf, "infinity"),
        (np.float32("-inf"), "infinity"),
        (Decimal("1.5"), "decimal.Decimal"),
        (datetime.timedelta(1), "datetime.timedelta"),
        (np.timedelta64(1, "s"), "numpy.timedelta64"),
        (np.timedelta64(5, "ns"), "numpy.timedelta64"),
        (np.timedelta64("NaT"), "numpy.timedelta64"),
        (b"x", "bytes"),
        (1j, "complex"),
        ("\ud800", "surrogate"),
        ({1: 2}, "key 1 is int"),
    ],
)
def test_what_json_cannot_hold_is_refused(project: Project, value: object, kind: str) -> None:
    """A value that JSON cannot hold is a ConfigError that names the dotted key and the type."""
    project.flow(ECHO)
    with pytest.raises(ConfigError, match=r"outer\.inner") as caught:
        run_notebook("flow/step.py", {"outer": {"inner": value}})
    assert kind in str(caught.value)
    assert not (project.root / "runs").exists()


def test_a_config_that_contains_itself_is_refused(project: Project) -> None:
    """A config without end is refused, not followed for ever."""
    project.flow(ECHO)
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ConfigError, match="contains itself"):
        run_notebook("flow/step.py", endless)


def test_all_problems_of_all_rows_are_listed_at_once(project: Project) -> None:
    """Bad values and bad names of every row come in one error, before anything runs."""
    project.flow(ECHO)
    names = ["ok", "../x", "CON", "a/b", "twice", "TWICE", "", "x" * 101, "tab\t", "a:b", "dot.", ".."]
    frame = pd.DataFrame({"instance_name": names, "value": [{1}, object(), math.inf, *([1] * 9)]})
    with pytest.raises(ConfigError) as caught:
        run_instances(frame, "flow/step.py")
    text = str(caught.value)
    for part in ("set", "object", "infinity", "path separator", "reserved on Windows", "same as in row 4"):
        assert part in text
    for row in range(12):
        assert (f"- row {row}" in text) == (row != 4), text
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize("column", ["status", "reason", "duration_s", "directory", "error", "result.total"])
def test_our_columns_are_not_taken(project: Project, column: str) -> None:
    """A column that the results would hide is refused by name."""
    project.flow(ECHO)
    with pytest.raises(ConfigError, match=column.replace(".", r"\.")):
        plan_instances(pd.DataFrame({column: [1]}), "flow/step.py")


def test_columns_that_contradict_each_other_are_refused(project: Project) -> None:
    """`a` and `a.b` cannot both be columns."""
    project.flow(ECHO)
    with pytest.raises(ConfigError, match="value and a parent"):
        plan_instances(pd.DataFrame({"a": [1], "a.b": [2]}), "flow/step.py")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_odd_but_lawful_names_work(project: Project) -> None:
    """Names with spaces, braces, percent signs and umlauts are folders like any other."""
    project.flow(ECHO)
    names = ["two words", "{braces}", "100%", "Zürich", "a'b", "x[1]", "ampers&nd", "東京", "{0}"]
    frame = pd.DataFrame({"instance_name": names, "n": range(len(names))})
    results = run_instances(frame, "flow/step.py", workers=2)
    assert results["status"].tolist() == ["done"] * len(names)
    for number, name in enumerate(names):
        assert seen(project, name) == {"n": number}
        assert (project.root / "runs/step" / name / "step.ipynb").is_file()
    assert run_instances(frame, "flow/step.py")["status"].tolist() == ["up to date"] * len(names)


def test_names_come_from_the_column_the_config_or_a_digest(project: Project) -> None:
    """Whole numbers name instances by their text; without a name the config's digest does."""
    project.flow(ECHO)
    numbered = run_instances(pd.DataFrame({"instance_name": [1, 2], "n": [1, 2]}), "flow/step.py")
    assert [Path(folder).name for folder in numbered["directory"]] == ["1", "2"]
    assert run_notebook("flow/step.py", {"instance_name": "mine", "n": 3}).instance_name == "mine"
    first = run_notebook("flow/step.py", {"a": 1, "b": 2}).instance_name
    assert run_notebook("flow/step.py", {"b": 2, "a": 1}).instance_name == first
    unnamed = run_instances(pd.DataFrame({"n": [1, 2]}), "flow/step.py")
    assert unnamed["directory"].nunique() == 2
    with pytest.raises(ConfigError, match="same config as row 0"):
        plan_instances(pd.DataFrame({"n": [1, 1]}), "flow/step.py")
    with pytest.raises(ConfigError, match="float"):
        plan_instances(pd.DataFrame({"instance_name": [1.5]}), "flow/step.py")


def test_an_empty_control_dataframe_is_an_empty_result(project: Project) -> None:
    """No rows: nothing runs, and the columns are there all the same."""
    project.flow(ECHO)
    results = run_instances(pd.DataFrame({"instance_name": [], "n": []}), "flow/step.py")
    assert len(results) == 0
    assert {"status", "reason", "duration_s", "directory", "error"} <= set(results.columns)


def test_numbers_of_numpy_may_be_names(project: Project) -> None:
    """A name that is a whole number, of whatever kind, is taken as its text."""
    project.flow("# %%\nn = config['n']\n")
    frame = pd.DataFrame({"instance_name": np.array([np.int64(5), "x"], dtype=object), "n": [1, 2]})
    assert [Path(folder).name for folder in run_instances(frame, "flow/step.py")["directory"]] == ["5", "x"]
    assert run_notebook("flow/step.py", {"n": 1}, instance_name=np.int64(5)).skipped


def test_no_number_is_lost_on_the_way(project: Project) -> None:
    """A column of numbers wider than Python's is refused, never made null."""
    project.flow("# %%\npass\n")
    with pytest.raises(ConfigError, match="b"):
        run_instances(pd.DataFrame({"b": np.array([1.5, 2], dtype="longdouble")}), "flow/step.py")

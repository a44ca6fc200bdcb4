"""What calls are given: names and time limits in any form that has one meaning, and messages for the rest."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ductaflow import (
    ConfigError,
    ProjectError,
    plan_instances,
    run_instances,
    run_notebook,
    run_step_flow,
    save_results,
)
from ductaflow_runtime.conductor.plan import Options
from ductaflow_runtime.runs.instance import as_name
from tests.conftest import Project


class Number(IntEnum):
    FIVE = 5


@pytest.mark.parametrize("given", [5, "5", np.int64(5), np.uint8(5), np.str_("5")])
def test_names_that_mean_one_text(given: object) -> None:
    """Texts and whole numbers are names, numpy's as well."""
    name = as_name(given)
    assert (type(name), name) == (str, "5")


@pytest.mark.parametrize(
    "given", [5.0, True, np.bool_(True), np.float64(5), None, float("nan"), pd.NaT, [5], Number.FIVE]
)
def test_what_is_no_name(given: object) -> None:
    """Anything else stays what it is, for the message about it."""
    assert as_name(given) is given


@pytest.mark.parametrize("given", [np.int64(5), 5])
def test_an_instance_named_by_a_number(project: Project, given: int) -> None:
    """The folder is called like the number."""
    project.flow("# %%\nprint(1)\n")
    assert run_notebook("flow/step.py", {}, instance_name=given).directory.name == "5"
    assert run_notebook("flow/step.py", {"instance_name": given}).directory.name == "5"
    assert run_step_flow("flow/step.py", "other", given).directory.name == "5"


@pytest.mark.parametrize("given", [5.5, True, np.bool_(True), float("nan")])
def test_a_wrong_name_is_refused(project: Project, given: object) -> None:
    """The message says what a name may be."""
    project.flow("# %%\nprint(1)\n")
    with pytest.raises(ConfigError, match="it must be text or a whole number"):
        run_notebook("flow/step.py", {}, instance_name=given)  # type: ignore[arg-type]
    assert not (project.root / "runs").exists() or not list((project.root / "runs").glob("step"))


WRONG = ["5", True, np.bool_(True), float("inf"), float("nan"), np.nan, 0, -1, -0.5, Decimal(5), [5], pd.NaT]


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_a_wrong_time_limit_is_refused(project: Project, given: object) -> None:
    """Name, value and what is expected, before anything runs."""
    project.flow("# %%\nprint(1)\n")
    frame = pd.DataFrame({"n": [1, 2]})
    for call in (
        lambda: run_notebook("flow/step.py", timeout=given),
        lambda: run_instances(frame, "flow/step.py", timeout=given),
    ):  # type: ignore[arg-type]
        with pytest.raises(ConfigError) as caught:
            call()
        assert str(caught.value).startswith("timeout must be a number of seconds above 0, not ")
        assert repr(given) in str(caught.value)
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize("given", [30, 30.0, np.int64(30), np.float32(30)])
def test_a_time_limit_is_a_plain_number(project: Project, given: float) -> None:
    """numpy's numbers are taken as what they are."""
    limit = Options(timeout=given).timeout
    assert limit == 30
    assert type(limit) in (int, float)
    project.flow("# %%\nprint(1)\n")
    assert run_notebook("flow/step.py", timeout=given).status == "done"


class LazyFrame:
    """What polars calls a query that has not been computed."""

    def collect(self) -> pa.Table:
        """Its rows."""
        return pa.table({"n": [1]})


FOREIGN = [
    (pa.table({"n": [1]}), "not pyarrow.lib.Table; convert it first: frame.to_pandas()"),
    (LazyFrame(), "LazyFrame; convert it first: frame.collect().to_pandas()"),
    ([{"n": 1}], "not list"),
]


@pytest.mark.parametrize(("frame", "message"), FOREIGN, ids=[message for _, message in FOREIGN])
def test_a_frame_of_another_library_is_told_how_to_become_one(project: Project, frame: Any, message: str) -> None:
    """The control dataframe is one of pandas; the message has the line that makes one."""
    project.flow("# %%\nprint(1)\n")
    for call in (run_instances, plan_instances):
        with pytest.raises(ConfigError, match="the control dataframe is a pandas DataFrame") as caught:
            call(frame, "flow/step.py")
        assert str(caught.value).endswith(message)
    if "convert" in message:
        with pytest.raises(ConfigError, match=r"shares: .* is no pandas DataFrame; convert it first: frame\."):
            save_results(shares=frame)


@pytest.mark.parametrize("given", ["dask", 4, object])
def test_an_executor_by_its_name_is_refused(project: Project, given: Any) -> None:
    """The message says what to give instead, and nothing runs."""
    project.flow("print(config['n'])")
    with pytest.raises(ConfigError, match=r"executor must be a concurrent\.futures\.Executor, such as dask"):
        run_instances(pd.DataFrame({"n": [1]}), "flow/step.py", executor=given)
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize("given", ["s3://bucket/runs", "gs://bucket/runs", "file:///data/runs", "http://host/runs"])
@pytest.mark.parametrize("how", ["argument", "path", "setting"])
def test_results_are_kept_in_a_folder(project: Project, given: str, how: str) -> None:
    """An address is refused, and no folder is made of its parts."""
    project.flow("print(config['n'])")
    if how == "setting":
        project.settings(runs_dir=given)
    options = {} if how == "setting" else {"runs_dir": Path(given) if how == "path" else given}
    before = sorted(project.root.iterdir())
    with pytest.raises(ProjectError, match="is an address, and results are kept in a folder"):
        run_instances(pd.DataFrame({"n": [1]}), "flow/step.py", **options)
    assert sorted(project.root.iterdir()) == before

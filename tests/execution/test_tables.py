"""Small frames that a flow saves: files of the instance that come back as one long frame."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ductaflow import (
    ConfigError,
    FlowError,
    MissingExtraError,
    RecordError,
    load_results,
    run_instances,
    run_notebook,
    save_results,
)
from ductaflow_runtime.tables.files import CSV, PARQUET, from_file, to_file
from ductaflow_runtime.tables.frames import table_of
from tests.conftest import Project

SHARES = """
# %%
import pandas as pd
from ductaflow import save_results

n = config["n"]
shares = pd.DataFrame({"mode": ["bus", None, ""][:n], "share": [0.1 * n, float("nan"), 1 / 3][:n], "trips": range(n)})
save_results(shares=shares, total=n)
"""
WITHOUT_ARROW = '\n# %%\nimport sys\nsys.modules["pyarrow"] = None\n'
EVERY = pd.DataFrame(
    {
        "whole": [1, 2, 2**62],
        "large": np.array([1, 2, 2**63 + 5], dtype="uint64"),
        "number": [0.1, np.nan, -np.inf],
        "short": np.array([0.1, 1 / 3, 7], dtype="float32"),
        "flag": [True, False, True],
        "text": ["a", "", None],
        "odd text": pd.Series(['x\n,"y"', None, "\r\n"], dtype=object),
        "whole or none": pd.array([1, None, 2**62 + 1], dtype="Int64"),
        "flag or none": pd.array([True, None, False], dtype="boolean"),
        "number or none": pd.array([0.5, None, 1.5], dtype="Float64"),
        "text or none": pd.array(["a", None, ""], dtype="string"),
        "day": pd.to_datetime(["2026-01-01", "2026-01-02T03:04:05.123456", None], format="ISO8601"),
        "time there": pd.to_datetime(["2026-03-29 00:30Z", None, "2026-10-25 01:30Z"]).tz_convert("Europe/Berlin"),
        "nanosecond": np.array(["2026-01-01T00:00:00.000000001"] * 3, dtype="datetime64[ns]"),
        "second": np.array(["2026-01-01T00:00:01"] * 3, dtype="datetime64[s]"),
        "level": pd.Categorical(["lo", None, "hi"], categories=["lo", "mid", "hi"], ordered=True),
        "zone": pd.Categorical([1, 2, None]),
        "kind": pd.Categorical(["", None, "a"]),
        "nothing": [None] * 3,
    }
)


@pytest.mark.parametrize("ending", [PARQUET, CSV])
@pytest.mark.parametrize("rows", [3, 1, 0])
def test_a_table_reads_back_the_same(ending: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, missing ones and dtypes are those of the frame, in each format."""
    if ending == CSV:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = EVERY.iloc[:rows]
    stored = to_file(frame, "every")
    assert stored.ending == ending
    assert json.loads(json.dumps(stored.dtypes)) == stored.dtypes
    with_empty = {0: [], 1: ["kind"], 3: ["text", "text or none", "kind"]}[rows]
    assert list(stored.empty) == (with_empty if ending == CSV else [])
    read = from_file(stored)
    for name in frame.columns:
        gone = frame[name].isna()
        assert read[name].isna().tolist() == gone.tolist()
        assert read[name][~gone].tolist() == frame[name][~gone].tolist()
        if name not in ("text", "odd text", "nothing"):  # texts have what pandas gives to texts
            assert read[name].dtype == frame[name].dtype


@pytest.mark.engines("fork", "spawn", "kernel")
def test_tables_of_all_instances_are_one_frame(project: Project) -> None:
    """A table is an output of its instance, named in the record; load_results puts all of them below each other."""
    project.flow(SHARES)
    run_instances(pd.DataFrame({"instance_name": ["b", "a"], "n": [3, 1]}), "flow/step.py")
    stored = project.record("step", "b")
    assert stored["tables"]["shares"]["file"] == "tables/shares.parquet"
    assert stored["tables"]["shares"]["rows"] == 3
    assert stored["results"] == {"total": 3}
    assert stored["outputs"].keys() == {"tables/shares.parquet"}
    assert "unseen" not in stored["outputs"]["tables/shares.parquet"]
    long = load_results("step", table="shares")
    assert list(long.columns) == ["instance_name", "mode", "share", "trips"]
    assert long["instance_name"].tolist() == ["a", "b", "b", "b"]
    assert long["share"].tolist()[:2] == [0.1, 0.1 * 3]
    assert long["mode"].isna().tolist() == [False, False, True, False]
    assert long["mode"].tolist()[3] == ""
    assert long["trips"].dtype == "int64"
    assert load_results("step")["result.total"].tolist() == [1, 3]
    assert run_notebook("flow/step.py", {"n": 1}, instance_name="a").skipped


def test_a_table_that_appears_is_seen_below(project: Project) -> None:
    """A step that has read all tables of a step runs again when an instance has one that had none."""
    project.write("data/a.txt", "2")
    project.flow(
        """
        import pandas as pd
        from ductaflow import project_path, save_results
        rows = int(project_path("data/a.txt").read_text()) if config["n"] else 1
        if rows:
            save_results(events=pd.DataFrame({"at": range(rows)}))
        """,
        "flow/up.py",
    )
    project.flow(
        'from ductaflow import load_results, save_results\nsave_results(n=len(load_results("up", table="events")))'
    )
    rows = pd.DataFrame({"instance_name": ["a", "b"], "n": [0, 1]})
    project.write("data/a.txt", "0")
    run_instances(rows, "flow/up.py")
    assert run_notebook("flow/step.py", {}, instance_name="all").results == {"n": 1}
    project.write("data/a.txt", "3")
    run_instances(rows, "flow/up.py")
    below = run_notebook("flow/step.py", {}, instance_name="all")
    assert (below.skipped, below.results) == (False, {"n": 4})
    assert below.reason == "input: runs/up/b/run.json"


def test_without_pyarrow_a_table_is_csv(project: Project) -> None:
    """The file is one that anybody can open, and the frame is the same."""
    project.flow(SHARES)
    run_notebook("flow/step.py", {"n": 3}, instance_name="a")
    before = load_results("step", table="shares")
    project.flow(WITHOUT_ARROW + SHARES)
    record = run_notebook("flow/step.py", {"n": 3}, instance_name="a")
    assert (record.directory / "tables/shares.csv").read_text().splitlines()[:2] == [
        "mode,share,trips",
        f"bus,{0.1 * 3!r},0",
    ]
    assert set(record.outputs or {}) == {"tables/shares.csv"}
    pd.testing.assert_frame_equal(load_results("step", table="shares"), before)


def test_a_script_saves_the_same_table(project: Project) -> None:
    """A script with --output-dir leaves table and record like the conductor."""
    project.flow(SHARES)
    project.write("config/base.json", '{"n": 2}')
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/a"], check=True)
    assert load_results("step", table="shares")["trips"].tolist() == [0, 1]
    assert run_notebook("flow/step.py", {"n": 2}, instance_name="a").skipped


def test_a_table_that_there_is_not(project: Project) -> None:
    """The message names the tables that there are; a table of all steps is none."""
    project.flow(SHARES)
    run_notebook("flow/step.py", {"n": 2}, instance_name="a")
    with pytest.raises(ConfigError, match="saved a table 'share'; there are shares"):
        load_results("step", table="share")
    with pytest.raises(ConfigError, match="needs the step"):
        load_results(table="shares")
    project.flow("# %%\nprint(1)\n", name="flow/other.py")
    run_notebook("flow/other.py", instance_name="a")
    with pytest.raises(ConfigError, match=r"save_results\(name=frame\)"):
        load_results("other", table="shares")


def test_only_what_is_done_is_in_the_frame(project: Project) -> None:
    """The table of an instance that failed afterwards is not among the rows."""
    project.flow(SHARES + "\n# %%\nassert n != 2\n")
    frame = pd.DataFrame({"instance_name": list("abc"), "n": [1, 2, 3]})
    run_instances(frame, "flow/step.py", on_error="continue")
    assert project.record("step", "b")["tables"].keys() == {"shares"}
    assert load_results("step", table="shares")["instance_name"].unique().tolist() == ["a", "c"]


@pytest.mark.parametrize("how", ["edited", "gone"])
def test_a_table_that_is_not_what_was_written(project: Project, how: str) -> None:
    """An edited or a missing file is no row less and no other number, but an error that names the instance."""
    project.flow(WITHOUT_ARROW + SHARES)
    run_instances(pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2]}), "flow/step.py")
    path = project.root / "runs/step/b/tables/shares.csv"
    path.write_text(path.read_text().replace("0.2", "0.9")) if how == "edited" else path.unlink()
    with pytest.raises(RecordError, match="run these again:\n  - step/b: "):
        load_results("step", table="shares")
    run_instances(pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2]}), "flow/step.py")
    assert load_results("step", table="shares")["share"].tolist()[:2] == [0.1, 0.2]


def test_reading_parquet_without_pyarrow(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which file it is, and what to install."""
    project.flow(SHARES)
    run_notebook("flow/step.py", {"n": 2}, instance_name="a")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"shares\.parquet.*pip install pyarrow"):
        load_results("step", table="shares")


def test_instances_with_different_columns(project: Project) -> None:
    """Whole numbers stay whole, to the last digit, where an instance has no such column or another type in it."""
    project.flow(
        "# %%\nimport pandas as pd\nfrom ductaflow import save_results\n"
        "big = 2**53 + 1\n"
        "frames = {'a': {'x': [big], 'y': [big]}, 'b': {'x': [0.5]}, 'c': {'x': []}}\n"
        "save_results(t=pd.DataFrame(frames[config['k']]))\n"
    )
    run_instances(pd.DataFrame({"instance_name": list("abc"), "k": list("abc")}), "flow/step.py")
    long = load_results("step", table="t")
    assert long["x"].tolist() == [2**53 + 1, 0.5]
    assert long["y"].tolist() == [2**53 + 1, pd.NA]


def test_a_step_that_reads_tables_runs_again_when_one_changes(project: Project) -> None:
    """The tables that a flow loads are its inputs."""
    project.flow(SHARES)
    project.flow("# %%\nimport ductaflow\nprint(len(ductaflow.load_results('step', table='shares')))\n", "flow/sum.py")
    run_notebook("flow/step.py", {"n": 1}, instance_name="a")
    run_notebook("flow/sum.py", instance_name="s")
    assert run_notebook("flow/sum.py", instance_name="s").skipped
    project.flow(SHARES.replace("0.1", "0.2"))
    run_notebook("flow/step.py", {"n": 1}, instance_name="a")
    assert "tables/shares.parquet" in (run_notebook("flow/sum.py", instance_name="s").reason or "")


def test_a_name_keeps_its_last_table_or_value(project: Project) -> None:
    """What is saved again takes the old one's place, also a value that of a table."""
    project.flow(
        "# %%\nimport pandas as pd\nfrom ductaflow import save_results\n"
        "one, two = pd.DataFrame({'x': [1]}), pd.DataFrame({'x': [1, 2]})\n"
        "save_results(t=one, u=one, v=1)\nsave_results(t=two, u=5, v=two)\n"
    )
    record = run_notebook("flow/step.py", instance_name="a")
    assert record.results == {"u": 5}
    assert {name: table["rows"] for name, table in (record.tables or {}).items()} == {"t": 2, "v": 2}
    assert set(record.outputs or {}) == {"tables/t.parquet", "tables/v.parquet"}


@pytest.mark.parametrize("record", [None, "{"], ids=["gone", "damaged"])
def test_a_table_of_a_lost_record(project: Project, record: str | None) -> None:
    """The instance is executed; the table that nobody can tell the origin of is moved away."""
    project.flow(
        "# %%\nimport pandas as pd\nfrom ductaflow import save_results\nsave_results(t=pd.DataFrame({'x': [1]}))\n"
    )
    path = run_notebook("flow/step.py", instance_name="a").directory / "run.json"
    path.unlink() if record is None else path.write_text(record)
    assert run_notebook("flow/step.py", instance_name="a").status == "done"
    assert len(list((project.root / "runs/.ductaflow/edited").rglob("t.parquet"))) == 1


def test_files_of_others_are_not_replaced(project: Project) -> None:
    """A file that the flow or a person has put there stays, and the message names it."""
    project.flow(
        "# %%\nimport os\nimport pandas as pd\nfrom ductaflow import save_results\n"
        "os.mkdir('tables')\nopen('tables/t.parquet', 'w').write('mine')\n"
        "save_results(t=pd.DataFrame({'x': [1]}))\n"
    )
    with pytest.raises(FlowError, match=r"tables/t\.parquet is there already"):
        run_notebook("flow/step.py", instance_name="a")
    assert (project.root / "runs/step/a/tables/t.parquet").read_text() == "mine"


INDEXES = [
    (EVERY.groupby("flag")[["whole"]].sum(), ["flag", "whole"]),
    (EVERY.set_index(["text", "flag"])[["whole"]], ["text", "flag", "whole"]),
    (EVERY[["whole"]].describe(), ["index", "whole"]),
    (EVERY[EVERY["whole"] > 1][["whole"]], ["whole"]),
]


@pytest.mark.parametrize(("frame", "columns"), INDEXES)
def test_an_index_that_says_something_becomes_columns(frame: pd.DataFrame, columns: list[str]) -> None:
    """Only one without a name that counts the rows is left out."""
    problems: list[str] = []
    assert list(table_of(frame, "t", problems).columns) == columns
    assert problems == []


WRONG = [
    ({"x": [[1], [2]]}, "t: the column 'x' holds objects such as list in row 0"),
    ({"x": [1, "a"]}, "t: the column 'x' holds objects such as int in row 0"),
    ({"x": [pd.Timedelta("1h")]}, "t: the column 'x' holds timedelta64"),
    ({"x": [1 + 2j]}, "t: the column 'x' holds complex128"),
    ({"x": pd.cut([1, 2, 3], 2)}, "t: the column 'x' holds categories of interval"),
    ({1: [1]}, "t: the column 1 is named with int"),
    ({"instance_name": ["a"]}, "t: the column instance_name is one that load_results adds"),
    ({}, "t: the frame has no columns"),
    ({f"c{i}": range(1000) for i in range(251)}, "t: 251,000 cells; a table may have up to 250,000"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_frame_that_cannot_be_a_table(data: dict[Any, Any], message: str) -> None:
    """The message names table and column, and says what a table holds or how large it may be."""
    with pytest.raises(ConfigError, match="save_results cannot store as a table") as caught:
        save_results(t=pd.DataFrame(data))
    assert caught.value.problems[0].startswith(message)
    assert len(caught.value.problems) == 1


def test_a_table_needs_a_name_that_can_be_a_file() -> None:
    """Table names are those of files, two that differ only in case are one."""
    frame = pd.DataFrame({"x": [1]})
    with pytest.raises(ConfigError, match="table name 'a/b' contains a path separator"):
        save_results({"a/b": frame})
    with pytest.raises(ConfigError, match="upper and lower case"):
        save_results(t=frame, T=frame)
    with pytest.raises(ConfigError, match=r"save_results\(cost=12.5\)"):
        save_results(frame)


def test_tables_are_shown_where_there_is_no_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, size and columns."""
    save_results(t=pd.DataFrame({"x": [1], "y": [2]}))
    assert capsys.readouterr().out == "table t: 1 rows, columns x, y\n"


@pytest.mark.parametrize("told", [[], {"t": {}}, {"t": {"file": "../x.csv", "rows": 1, "dtypes": {}, "empty": {}}}])
def test_a_record_whose_tables_are_not_as_written_is_damaged(project: Project, told: object) -> None:
    """Nothing is read from where such a record leads."""
    project.flow(SHARES)
    path = run_notebook("flow/step.py", {"n": 1}, instance_name="a").directory / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tables": told}))
    assert "tables is not as an execution writes it" in load_results("step")["error"][0]

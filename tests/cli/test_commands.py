"""`ductaflow plan`, `status` and `accept`."""

from __future__ import annotations

import json
import re
import shutil

from click.testing import CliRunner

from ductaflow_runtime.cli.main import main
from ductaflow_runtime.runs.control import remember_control
from tests.staleness.cases import each
from tests.staleness.sample import Sample, write_data


def call(*arguments: str, answer: str | None = None, code: int = 0) -> str:
    """What a `ductaflow` command prints."""
    result = CliRunner().invoke(main, arguments, input=answer)
    assert result.exit_code == code, result.output
    return result.output


def section(text: str, title: str) -> list[str]:
    """The lines below a heading of `ductaflow status`."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title)) + 1
    length = next((i for i, line in enumerate(lines[start:]) if not line), len(lines))
    return [line.strip() for line in lines[start : start + length]]


def test_plan_says_up_to_date_or_why_not(sample: Sample) -> None:
    """`ductaflow plan` gives the reason that a run would have, and executes nothing."""
    arguments = ("plan", "flow/cost.py", "--config", "runs/cost/b/config.json", "--name", "b")
    before = sample.starts()
    assert call(*arguments) == "cost/b: up to date\n"
    assert call(*arguments, "--set", "fare.base=9") == "cost/b: config: fare.base 2 -> 9\n"
    assert call(*arguments[:-1], "z") == "cost/z: new\n"
    assert call(*arguments, "--step", "other") == "other/b: new\n"
    assert sample.starts() == before
    assert not (sample.root / "runs/other").exists()


def test_plan_of_a_flow_that_is_not_there(sample: Sample) -> None:
    """A wrong path is an error with exit code 2."""
    assert "flow not found" in call("plan", "flow/nothing.py", code=2)


def test_status_counts(sample: Sample) -> None:
    """`ductaflow status` counts each step's instances by state, in aligned plain lines."""
    for step in sample.rows:
        remember_control(sample.root / "runs", step, [row["instance_name"] for row in sample.rows[step]], whole=True)
    lines = call("status").splitlines()
    columns = ("done", "failed", "interrupted", "running", "damaged", "not up to date", "without a row")
    assert lines[0] == "  ".join(("step   ", *columns))
    assert [line.split() for line in lines[1:3]] == [["cost", "3", *"000000"], ["folder", "1", *"000000"]]
    assert len({len(line) for line in lines[:7]}) == 1
    assert "No longer up to date" not in "".join(lines)
    assert len(section(call("status"), "Slowest")) == 3


def test_status_tells_what_is_no_longer_up_to_date(sample: Sample) -> None:
    """Instances on disk are held against the present code, modules and inputs, grouped by reason."""
    sample.edit("lib/rates.py", "2", "3")
    write_data(sample.root / "data/literal.csv", [9])
    assert section(call("status"), "No longer up to date") == [
        "4  module: lib/rates.py  (cost/a, cost/b, cost/c, second/a)",
        "2  reads an instance of cost that is not up to date: module: lib/rates.py  (sum/a, sum/b)",
        "1  input: data/literal.csv  (literal/all)",
    ]
    assert section(call("status", "cost"), "No longer up to date") == [
        "3  module: lib/rates.py  (cost/a, cost/b, cost/c)"
    ]


def test_status_groups_failures(sample: Sample) -> None:
    """Failures with the same type, message and cell are one line with their number."""
    for name in "ab":
        (sample.root.parent / f"broken_{name}").touch()
    sample.run("cost", force=True)
    (sample.root / "data/a.csv").write_text("other\n1\n")
    sample.run("cost")
    assert section(call("status", "cost"), "Failures") == [
        "2  RuntimeError: broken in cell 3  (cost/a, cost/b)",
        "1  KeyError: 'length' in cell 4  (cost/c)",
    ]


def test_status_groups_failures_whose_numbers_differ(sample: Sample) -> None:
    """They are one line, with `...` for the numbers; where they are the same, the numbers are shown."""
    for name, message, cell in (("a", "column 17 is missing", 2), ("b", "column 18 is missing", 2), ("c", "5 rows", 3)):
        sample.edit_record(f"cost/{name}", status="failed", error={"type": "E", "message": message, "cell": cell})
    assert section(call("status", "cost"), "Failures") == [
        "2  E: column ... is missing in cell 2  (cost/a, cost/b)",
        "1  E: 5 rows in cell 3  (cost/c)",
    ]


def test_status_tells_flows_that_are_no_python(sample: Sample) -> None:
    """Once for each flow, with the line."""
    assert "cannot be executed" not in call("status")
    sample.edit("flow/cost.py", "save_results(total=", "save_results((total=")
    (line,) = section(call("status"), "Flows that cannot be executed as they are now")
    assert line.startswith("flow/cost.py:")
    assert "SyntaxError" in line


def test_status_counts_warnings(sample: Sample) -> None:
    """Instances that are done and have warned have a column, where there are some, and are listed with how often."""
    sample.edit_record("cost/a", warnings=2)
    sample.edit_record("cost/b", warnings=1)
    sample.edit_record("cost/c", warnings=2)
    sample.edit_record("folder/all", warnings=4, status="failed")
    text = call("status", "cost")
    assert text.splitlines()[0].endswith("not up to date  with warnings")
    assert text.splitlines()[1].split() == ["cost", "3", *"00000", "3"]
    assert section(text, "With warnings") == ["2  2 warnings  (cost/a, cost/c)", "1  1 warning  (cost/b)"]
    assert "with warnings" not in call("status", "folder")


def test_status_counts_rows_without_a_folder(sample: Sample) -> None:
    """Rows that a sweep was asked for and has not come to have a column, where there are some, and are listed."""
    remember_control(sample.root / "runs", "cost", ["a", "b", "c", "d", "e"])
    text = call("status")
    assert text.splitlines()[0].endswith("not up to date  without a folder")
    assert text.splitlines()[1].split() == ["cost", "3", *"00000", "2"]
    assert section(text, "Rows without a folder") == ["cost/d", "cost/e"]


def test_status_of_what_is_half_done(sample: Sample) -> None:
    """Interrupted instances, damaged records, lost flows and folders without a record are told."""
    sample.edit_record("cost/a", status="running", fingerprint=None)
    (sample.folder("cost/b") / "run.json").write_text("{")
    (sample.folder("cost/c") / "run.json").unlink()
    (sample.root / "flow/sum.py").unlink()
    text = call("status")
    assert section(text, "Interrupted") == ["cost/a"]
    damaged = section(text, "Damaged records")
    assert damaged[0].startswith("cost/b: record damaged: ")
    assert damaged[1] == "cost/c: no run.json"
    (lost,) = section(text, "No longer up to date")
    assert lost.startswith("2  flow ")
    assert "cannot be read" in lost


def test_status_of_nothing(sample: Sample) -> None:
    """Before anything has run, and for a step that does not exist, the message says so."""
    assert "no step nothing" in call("status", "nothing", code=2)
    shutil.rmtree(sample.root / "runs")
    assert "nothing has run yet" in call("status")


def test_status_leaves_brackets_alone(sample: Sample) -> None:
    """A reason with brackets is shown as it is."""
    sample.edit_record("cost/a", status="failed", error={"type": "E", "message": "[red]x[/red]", "cell": 2})
    assert section(call("status", "cost"), "Failures") == ["1  E: [red]x[/red] in cell 2  (cost/a)"]


def test_accept_declares_the_present_up_to_date(sample: Sample) -> None:
    """After `ductaflow accept` nothing executes; the record says since when; the next change counts again."""
    sample.edit("lib/rates.py", "2", "3")
    sample.edit("flow/cost.py", '# %% tags=["cost"]', '# %%\nX = 1\n\n# %% tags=["cost"]')
    write_data(sample.root / "data/a.csv", [5, 5])
    sample.edit("runs/cost/b/cost.csv", "8", "88")
    before = sample.starts()
    text = call("accept", "cost")
    shared = "code: cell 4 added; module: lib/rates.py"
    assert text.splitlines() == [
        f"cost/a: accepted ({shared}; input: data/a.csv)",
        f"cost/b: accepted ({shared}; output changed: cost.csv)",
        f"cost/c: accepted ({shared}; input: data/a.csv)",
        "cost: 3 instances accepted without being executed; ductaflow status lists what was accepted",
    ]
    assert sample.plan("cost") == {}
    assert sample.run("cost")["status"].tolist() == ["up to date"] * 3
    assert sample.starts() == before
    assert sample.record("cost", "a")["accepted"].startswith("20")
    assert sample.plan("second") == {"second/a": f"{shared}; input: data/a.csv"}
    sample.edit("lib/rates.py", "3", "4")
    assert sample.plan("cost") == each(("cost/a", "cost/b", "cost/c"), "module: lib/rates.py")
    sample.run("cost")
    assert sample.record("cost", "a")["accepted"] is None


def test_an_accepted_notebook_stays_what_was_executed(sample: Sample) -> None:
    """The notebook of an accepted instance shows the executed code, also after a later comment."""
    sample.edit("flow/cost.py", '# %% tags=["cost"]', '# %%\nX = 1\n\n# %% tags=["cost"]')
    before = sample.notebook("cost", "a")
    call("accept", "cost", "a")
    sample.edit("flow/cost.py", "# The links", "# All links")
    assert sample.run("cost")["status"].tolist() == ["up to date", "done", "done"]
    assert sample.notebook("cost", "a") == before


def test_accept_named_instances_only(sample: Sample) -> None:
    """With names, only these are accepted; a second time there is nothing to accept."""
    sample.edit("lib/rates.py", "2", "3")
    assert call("accept", "cost", "b").splitlines()[0] == "cost/b: accepted (module: lib/rates.py)"
    assert call("accept", "cost", "b") == "cost/b: up to date, nothing to accept\n"
    assert set(sample.plan("cost")) == {"cost/a", "cost/c"}


def test_what_was_accepted_stays_visible(sample: Sample) -> None:
    """When, and what had changed since the execution, is in the record and in `ductaflow status`, until it executes."""
    sample.edit("lib/rates.py", "2", "3")
    call("accept", "cost", "a", "b")
    write_data(sample.root / "data/a.csv", [5, 5])
    summary = call("accept", "cost", "a", "b").splitlines()[-1]
    assert summary.startswith("cost: 1 instance accepted without being executed, 1 up to date before; ")
    assert sample.record("cost", "a")["accepted_reason"] == "module: lib/rates.py; input: data/a.csv"
    first, second = section(call("status", "cost"), "Accepted without being executed")
    assert re.fullmatch(r"1  \d{4}-.*, although: module: lib/rates.py; input: data/a.csv  \(cost/a\)", first)
    assert re.fullmatch(r"1  \d{4}-.*, although: module: lib/rates.py  \(cost/b\)", second)
    sample.run("cost", force=True)
    assert "Accepted" not in call("status", "cost")


def test_accept_sees_files_that_new_code_names(sample: Sample) -> None:
    """A file that the accepted code names counts from then on, though no execution has read it."""
    sample.edit("flow/cost.py", "total = cost", 'extra = "data/extra.csv"\ntotal = cost')
    write_data(sample.root / "data/extra.csv", [1])
    call("accept", "cost")
    assert sample.plan("cost") == {}
    write_data(sample.root / "data/extra.csv", [2])
    assert set(sample.plan("cost").values()) == {"input: data/extra.csv"}


def test_accept_refuses_what_has_not_succeeded(sample: Sample) -> None:
    """Only instances that are done can be accepted; the message lists all others, and nothing changes."""
    sample.edit("lib/rates.py", "2", "3")
    sample.edit_record("cost/a", status="failed")
    text = call("accept", "cost", "a", "b", "z", code=2)
    assert "cost/a: failed" in text
    assert "cost/z: no such instance; there are a, b, c" in text
    assert sample.record("cost", "b")["accepted"] is None
    assert call("accept", "cost").count(": accepted (") == 2
    assert "path separator" in call("accept", "cost", "../b", code=2)


def test_accept_of_a_misspelt_name(sample: Sample) -> None:
    """The message lists the names that are like it."""
    assert "read/csv_confg: no such instance; did you mean csv_config" in call("accept", "read", "csv_confg", code=2)


def test_accept_of_a_config_change_is_not_possible(sample: Sample) -> None:
    """A changed row still executes after `accept`: its results are not those of the new config."""
    sample.row("cost", "b")["year"] = 2021
    assert "nothing to accept" in call("accept", "cost", "b")
    assert sample.plan("cost") == {"cost/b": "config: year 2020 -> 2021"}


def test_status_changes_nothing(sample: Sample) -> None:
    """`ductaflow status` writes no record."""
    before = {path: path.read_text() for path in (sample.root / "runs").glob("*/*/run.json")}
    sample.edit("lib/rates.py", "2", "3")
    call("status")
    assert {path: path.read_text() for path in before} == before
    assert json.loads((sample.folder("cost/a") / "run.json").read_text())["status"] == "done"

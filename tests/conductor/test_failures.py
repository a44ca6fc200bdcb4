"""Many failures: what is printed, what the error says, and when a sweep gives up."""

from __future__ import annotations

import pandas as pd
import pytest

from ductaflow import ConfigError, FlowError, InstancesFailed, load_results, run_instances, run_notebook
from ductaflow_runtime.conductor.giving_up import Patience, patience_for
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.debug import make_debug_notebook
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.states import Status
from tests.conftest import HEAD, Project

FLOW = """
# %% [markdown]
# What it costs

# %%


def cost(row):
    return row["toll"] + config["n"]


# %%
kind = config["n"] % config.get("kinds", 1)
if config["n"] < 0:
    {}["good" if False else "bad"] = 1
elif kind == 0:
    cost({})
else:
    raise ValueError("abcdefgh"[kind] * 5 + " at " + str(config["n"]))
"""


def frame(count: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"instance_name": [f"r{n}" for n in range(count)], "n": range(count), **columns})


def test_a_failure_names_file_line_and_text(project: Project) -> None:
    """The line is the flow's own that the error came through, by its number in the file."""
    path = project.flow(FLOW)
    with pytest.raises(Exception, match="in cell 4") as caught:
        run_notebook("flow/step.py", {"n": 0}, instance_name="a")
    line = path.read_text().splitlines().index('    return row["toll"] + config["n"]') + 1
    place = f'flow/step.py:{line}: return row["toll"] + config["n"]'
    assert place in str(caught.value)
    assert project.record("step", "a")["error"]["place"] == place


def test_cells_have_one_number(project: Project) -> None:
    """Record, prompt, traceback and papermill's mark count the flow's own code cells."""
    project.flow(FLOW)
    with pytest.raises(Exception, match="in cell 4"):
        run_notebook("flow/step.py", {"n": 0}, instance_name="a")
    stored = project.record("step", "a")["error"]
    assert stored["cell"] == 4
    cells = project.notebook("step", "a")["cells"]
    assert [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"] == [1, None, 2, 3, 4]
    if project.engine != "kernel":
        assert "Cell In[4], line 5" in stored["traceback"]
    assert any("In [4]" in "".join(cell["source"]) for cell in cells)


IN_A_TEXT = '''
# %%
text = """
# %%
no cell
"""

# %% [markdown]
# Text

#%% a title
1 / config["n"]
'''
LEAVES = """
# %%
import sys

def leave():
    sys.exit("no solution")

# %%
if config["n"] == 0:
    leave()
"""


@pytest.mark.parametrize(
    ("body", "cell", "line"),
    [
        (FLOW, 4, 'return row["toll"] + config["n"]'),
        (IN_A_TEXT, 4, '1 / config["n"]'),
        (LEAVES, 4, 'sys.exit("no solution")'),
    ],
    ids=["a function of another cell", "a marker in a text", "an exit"],
)
def test_a_script_names_the_same_line(project: Project, body: str, cell: int, line: str) -> None:
    """However a flow is run, failures are told alike: the cell that was executing, the last line that is its own."""
    import subprocess
    import sys

    project.write("config/base.json", '{"n": 0}')
    text = project.flow(body).read_text().splitlines()
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/s"], capture_output=True, check=False)
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", {"n": 0}, instance_name="a")
    errors = [project.record("step", name)["error"] for name in "as"]
    (number,) = [number for number, each in enumerate(text, 1) if each.strip() == line]
    assert [(error["cell"], error["place"]) for error in errors] == [(cell, f"flow/step.py:{number}: {line}")] * 2


def told(capsys: pytest.CaptureFixture[str], error: object) -> list[str]:
    """All that a failed sweep shows."""
    return (capsys.readouterr().err + str(error)).splitlines()


@pytest.mark.parametrize(("kinds", "shown"), [(1, 1), (3, 3), (8, 3)])
def test_failures_are_told_in_proportion(
    project: Project, capsys: pytest.CaptureFixture[str], kinds: int, shown: int
) -> None:
    """The first of each kind is told in full, the others are counted; the frame has them all."""
    project.flow(FLOW)
    with pytest.raises(InstancesFailed) as caught:
        run_instances(frame(24, kinds=kinds), "flow/step.py", on_error=100)
    lines = told(capsys, caught.value)
    assert len(lines) <= 36, "with the conductor's own traceback at most 40"
    assert sum(line.startswith("failed: flow/step.py") for line in lines) == shown
    text = str(caught.value)
    assert text.startswith("24 of 24 instances failed:\n")
    if kinds == 1:
        assert "\n  24  KeyError: 'toll' in cell 4  (r0, r1, r2, r3, r4 and 19 more)\n" in text
    if kinds == 8:
        assert "\n  6  of 2 other kinds\n" in text
    assert caught.value.results["error"].notna().all()


def test_continue_tells_them_once_at_the_end(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is raised, the count of the kinds is printed."""
    project.flow(FLOW)
    run_instances(frame(24), "flow/step.py", on_error="continue")
    lines = capsys.readouterr().err.splitlines()
    assert "24 of 24 instances failed:" in lines
    assert sum("KeyError" in line for line in lines) == 2


def test_a_sweep_gives_up_when_nothing_works(project: Project) -> None:
    """After 20 equal failures without one success nothing new is started, and what to type is said."""
    project.flow(FLOW)
    with pytest.raises(InstancesFailed) as caught:
        run_instances(frame(60), "flow/step.py", workers=2)
    counts = caught.value.results["status"].value_counts()
    assert 20 <= counts["failed"] < 40
    assert f"{counts['not run']} rows were not run" in str(caught.value)
    assert 'on_error="continue"' in str(caught.value)
    assert len(load_results("step")) == counts["failed"]


def outcomes(text: str) -> list[Outcome]:
    """A row each: `.` is done, a letter a kind of failure."""
    from pathlib import Path

    one = Instance(Path(), "s", "a", {}, Path())
    return [
        Outcome(Status.DONE, one) if kind == "." else Outcome(Status.FAILED, one, failure=Failure(kind))
        for kind in text
    ]


@pytest.mark.parametrize(
    ("patience", "rows", "over_after"),
    [
        (patience_for("stop"), "..x", 3),
        (patience_for("continue"), "x" * 100, None),
        (patience_for("raise"), "x" * 30, 20),
        (patience_for("raise"), "." + "x" * 100, None),
        (patience_for("raise"), "xy" * 50, None),
        (patience_for(3), "xx.xxyxxx", 9),
        (patience_for(3), ".....xxx", 8),
    ],
)
def test_when_patience_is_over(patience: Patience, rows: str, over_after: int | None) -> None:
    """Equal failures in a row count; by default only while no row is done, so that a bad block costs nothing."""
    found = [number for number, outcome in enumerate(outcomes(rows), 1) if patience.is_over(outcome)]
    assert next(iter(found), None) == over_after


@pytest.mark.parametrize("wrong", ["never", 0, -1, True, 2.5, None])
def test_what_on_error_takes(wrong: object) -> None:
    """Anything else is an error that lists the choices."""
    with pytest.raises(ConfigError, match="a number of equal failures above 0"):
        patience_for(wrong)  # type: ignore[arg-type]


def test_an_old_record_has_no_place(project: Project) -> None:
    """A record of an older version is read as before."""
    import json

    project.write_flow("flow/step.py", HEAD + FLOW)
    with pytest.raises(InstancesFailed):
        run_instances(frame(1), "flow/step.py")
    path = project.root / "runs/step/r0/run.json"
    stored = json.loads(path.read_text())
    del stored["error"]["place"]
    path.write_text(json.dumps(stored))
    assert load_results("step")["error"].tolist() == ["KeyError: 'toll' (cell 4)"]


@pytest.mark.parametrize("count", [1, 5])
def test_failures_end_with_the_line_that_takes_one_apart(project: Project, count: int) -> None:
    """It is typed as it stands, in the working directory."""
    project.flow(FLOW)
    with pytest.raises(InstancesFailed) as raised:
        run_instances(frame(count), "flow/step.py")
    assert str(raised.value).splitlines()[-1] == "  one of them, cell by cell: ductaflow debug runs/step/r0"
    assert make_debug_notebook("runs/step/r0").is_file()


def test_a_message_of_a_million_characters(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """What is printed of it and what the error says is a part, with its end; the record has it all."""
    project.flow("raise ValueError(str(config['n']) + 'x' * 1_000_000 + ' has no toll')")
    with pytest.raises(InstancesFailed, match="xx has no toll") as caught:
        run_instances(frame(1), "flow/step.py")
    assert max(len(str(caught.value)), len(capfd.readouterr().err)) < 10_000
    assert len(project.record("step", "r0")["error"]["message"]) > 1_000_000


def test_a_long_cause_keeps_its_end(project: Project) -> None:
    """There the message says what to do."""
    project.flow('if config["n"] >= 0:\n    raise ValueError("long " * 90 + "do this")')
    with pytest.raises(InstancesFailed) as raised:
        run_instances(frame(5), "flow/step.py")
    (line,) = [line for line in str(raised.value).splitlines() if "ValueError" in line]
    assert "long long" in line
    assert "do this in cell" in line
    assert len(line) < 400


def test_a_misspelt_column_comes_before_the_advice(project: Project) -> None:
    """The second line is the answer."""
    project.flow('print(config["alpha"])')
    with pytest.raises(ConfigError) as raised:
        run_instances(pd.DataFrame({"instance_name": ["a"], "aplha": [1]}), "flow/step.py")
    lines = str(raised.value).splitlines()
    assert lines[1].startswith("  - all rows: unknown parameter `aplha`; did you mean `alpha`?")
    assert lines[2].startswith("Correct the name")

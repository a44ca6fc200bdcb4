"""What an execution leaves on disk, and what becomes of failures."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import (
    ConfigError,
    FlowError,
    FlowFileError,
    InstancesFailed,
    ProjectError,
    load_results,
    run_instances,
    run_notebook,
)
from tests.conftest import Project

KEYS = [
    "schema",
    "flow",
    "step",
    "instance_name",
    "status",
    "reason",
    "started",
    "finished",
    "duration_s",
    "command",
    "error",
    "warnings",
    "results",
    "fingerprint",
    "outputs",
    "environment",
]

WORK = """
# %%
import logging, sys, warnings
print("to stdout")
print("to stderr", file=sys.stderr)
logging.getLogger("mine").warning("logged")
warnings.warn("careful")

# %%
from pathlib import Path
from ductaflow import save_results
if config["n"] == 3:
    raise KeyError("toll")
Path("out").mkdir()
Path("out/flows.csv").write_text("a\\n1\\n")
save_results(total=config["n"] * 2, parts=[1, 2])
"""


@pytest.mark.engines("fork", "spawn", "kernel")
def test_an_instance_leaves_everything_it_did(project: Project) -> None:
    """Config, notebook, log, record and outputs are in runs/{step}/{instance_name}/ after an execution."""
    project.flow(WORK)
    record = run_notebook("flow/step.py", {"n": 1}, instance_name="one")
    folder = project.root / "runs/step/one"
    assert record.directory == folder
    assert (record.status, record.skipped) == ("done", False)
    stored = project.record("step", "one")
    assert set(KEYS) <= set(stored)
    assert stored["flow"] == "flow/step.py"
    assert stored["results"] == {"total": 2, "parts": [1, 2]}
    assert stored["warnings"] == 2
    assert stored["outputs"].keys() == {"out/flows.csv"}
    assert stored["outputs"]["out/flows.csv"]["size"] == 4
    assert set(stored["fingerprint"]) == {"config", "code", "modules", "inputs", "packages", "kernel"}
    assert json.loads((folder / "config.json").read_text()) == {"n": 1}
    log = (folder / "run.log").read_text()
    for line in ("out | to stdout", "err | to stderr", "err | logged", "careful"):
        assert line in log
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "run.json",
        "run.log",
        "step.ipynb",
        "out",
    }
    assert "runs/step/one/config.json" in "".join(project.notebook("step", "one")["cells"][0]["source"])


@pytest.mark.engines("fork", "spawn", "kernel")
def test_nothing_is_written_beside_a_flow(project: Project) -> None:
    """The flow's folder and the project hold the same files after a run as before, but for runs/."""
    project.flow(WORK)
    run_notebook("flow/step.py", {"n": 1})
    assert sorted(path.name for path in project.root.iterdir()) == ["flow", "pyproject.toml", "runs"]
    assert [path.name for path in (project.root / "flow").iterdir()] == ["step.py"]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_failure_says_where_and_why(project: Project) -> None:
    """FlowError names flow, instance, cell, exception, notebook and log; the notebook ends at the error."""
    project.flow(WORK)
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", {"n": 3}, instance_name="bad")
    text = str(caught.value)
    for part in ("flow/step.py", "step/bad", "KeyError", "toll", "cell 4", "step.ipynb", "run.log"):
        assert part in text
    stored = project.record("step", "bad")
    assert stored["status"] == "failed"
    assert (stored["error"]["type"], stored["error"]["cell"]) == ("KeyError", 4)
    assert "toll" in stored["error"]["traceback"]
    outputs = [output for cell in project.notebook("step", "bad")["cells"] for output in cell.get("outputs", [])]
    assert [output["output_type"] for output in outputs][-1] == "error"
    assert pickle.loads(pickle.dumps(caught.value)).record.instance_name == "bad"


FRAME = pd.DataFrame({"instance_name": list("abcd"), "n": [1, 3, 2, 3]})


@pytest.mark.engines("fork", "spawn")
def test_one_bad_row_costs_the_others_nothing(project: Project) -> None:
    """All rows run; one error at the end names each failed row and carries the frame."""
    project.flow(WORK)
    with pytest.raises(InstancesFailed) as caught:
        run_instances(FRAME, "flow/step.py", workers=2)
    assert "step/b" in str(caught.value)
    assert "step/d" in str(caught.value)
    frame = caught.value.results
    assert frame["status"].tolist() == ["done", "failed", "done", "failed"]
    assert frame["result.total"].tolist() == [2, pd.NA, 4, pd.NA]
    assert "KeyError" in frame["error"][1]


@pytest.mark.engines("fork", "spawn")
def test_continue_gives_the_frame_and_stop_starts_nothing_more(project: Project) -> None:
    """on_error="continue" does not raise; "stop" leaves the rows after the first failure alone."""
    project.flow(WORK)
    frame = run_instances(FRAME, "flow/step.py", on_error="continue")
    assert frame["status"].tolist() == ["done", "failed", "done", "failed"]
    with pytest.raises(InstancesFailed) as caught:
        run_instances(FRAME, "flow/step.py", workers=1, on_error="stop", force=True)
    assert caught.value.results["status"].tolist()[:2] == ["done", "failed"]
    assert "not run" in caught.value.results["status"].tolist()
    assert caught.value.results["reason"].tolist() == ["forced"] * 4


def test_a_flow_without_parameters_cell_is_told_the_lines_to_add(project: Project) -> None:
    """The error shows the three lines, and nothing is made."""
    project.write("flow/plain.py", "# %%\nprint(1)\n")
    with pytest.raises(ConfigError, match='# %% tags=\\["parameters"\\]') as caught:
        run_notebook("flow/plain.py", {"n": 1})
    assert "config = {}" in str(caught.value)
    assert not list((project.root / "runs").glob("plain"))
    with pytest.raises(FlowFileError, match="not found"):
        run_notebook("flow/absent.py", {})


@pytest.mark.engines("fork", "spawn", "kernel")
def test_an_ipynb_flow_runs_too(project: Project) -> None:
    """A flow may be a notebook file."""
    import nbformat

    cells = [
        nbformat.v4.new_code_cell("config = {}", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('n is', config['n'])"),
    ]
    project.write("flow/book.ipynb", nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
    record = run_notebook("flow/book.ipynb", {"n": 4})
    assert record.status == "done"
    assert "n is 4" in record.log.read_text()


def test_results_come_back_typed(project: Project) -> None:
    """load_results gives a row an instance with typed config and results; damaged records are listed."""
    project.settings(unknown_keys="ignore")  # the day is a label that the flow does not read
    project.flow(WORK)
    frame = FRAME.assign(**{"deep.flag": [True, False, True, False], "day": pd.Timestamp("2026-01-01")})
    run_instances(frame, "flow/step.py", on_error="continue")
    (project.root / "runs/step/a/run.json").write_text("{half")
    loaded = load_results("step").set_index("instance_name")
    assert loaded.loc["a", "status"] == "damaged"
    assert "not valid JSON" in loaded.loc["a", "error"]
    assert loaded["n"].dtype == "Int64"
    assert loaded["day"].dtype.kind == "M"
    assert loaded.loc["c", "result.total"] == 4
    assert loaded.loc["b", "status"] == "failed"
    assert set(load_results()["step"]) == {"step"}
    assert len(load_results("none")) == 0


def test_outside_a_project_there_is_nothing_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error that says where it looked; a folder of results that is named and not there is a warning."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=r"neither .* nor a folder above it holds a pyproject.toml"):
        load_results("step")
    with pytest.warns(UserWarning, match="elsewhere does not exist"):
        assert len(load_results("step", tmp_path / "elsewhere")) == 0
    (tmp_path / "pyproject.toml").touch()
    assert len(load_results("step")) == 0


def test_result_columns_outlive_failures(project: Project) -> None:
    """If no row is done, the frames have the columns of the last good executions, without values."""
    project.flow("# %%\nfrom ductaflow import save_results\n\nif config['n'] > 2:\n    1 / 0\nsave_results(total=1)\n")
    rows = pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2]})
    run_instances(rows, "flow/step.py")
    for n in ([3, 4], [5, 6]):
        frame = run_instances(rows.assign(n=n), "flow/step.py", on_error="continue")
        assert frame["result.total"].isna().tolist() == [True, True]
        assert load_results("step")["result.total"].isna().tolist() == [True, True]
    assert frame["status"].tolist() == ["failed", "failed"]


def test_a_misspelt_step_is_told_the_nearest(project: Project) -> None:
    """A step that has no flow of its name either is an error that names the one meant; one yet to run has no rows."""
    project.flow(WORK, "flow/seir.py")
    run_notebook("flow/seir.py", {"n": 1}, instance_name="one")
    with pytest.raises(ConfigError, match=r"no step sier in .*runs; did you mean seir"):
        load_results("sier")
    with pytest.raises(ConfigError, match="did you mean seir"):
        load_results("seirs", table="shares")
    project.flow(WORK, "flow/seir2.py")
    assert len(load_results("seir2")) == 0


def test_other_steps_are_no_input_of_a_flow_that_asks_for_one(project: Project) -> None:
    """A flow that loads the results of a step yet to run does not run again for another step's sake."""
    project.flow(WORK)
    project.flow("# %%\nimport ductaflow\nprint(len(ductaflow.load_results('later')))\n", "flow/sum.py")
    run_notebook("flow/sum.py", instance_name="s")
    run_notebook("flow/step.py", {"n": 1}, instance_name="one")
    project.write("flow/other.py", "# %%\n")
    assert run_notebook("flow/sum.py", instance_name="s").skipped


def test_a_record_prints_as_a_few_lines(project: Project) -> None:
    """They say what became of the instance, what it gave, and where it is."""
    project.flow(WORK)
    record = run_notebook("flow/step.py", {"n": 1}, instance_name="one")
    assert repr(record.but(duration_s=1.25)).splitlines() == [
        "record of step/one: done in 1.25 s, executed because: new",
        "  results   total = 2, parts = [1, 2]",
        "  outputs   out/flows.csv",
        "  warnings  2",
        f"  folder    {project.root}/runs/step/one",
    ]
    again = run_notebook("flow/step.py", {"n": 1}, instance_name="one")
    assert str(again).splitlines()[0].endswith("s, up to date, not executed")
    many = record.but(
        results={f"name {number}": number for number in range(100)}, tables={"t": {"rows": 3}}, outputs={}
    )
    lines = repr(many).splitlines()
    assert lines[1].startswith("  results   name 0 = 0, name 1 = 1, ")
    assert lines[1].endswith(" more")
    assert lines[2] == "  tables    t (3 rows)"
    assert max(map(len, lines[:-1])) < 130
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", {"n": 3}, instance_name="bad")
    failed = repr(caught.value.record).splitlines()
    assert "  error     KeyError: 'toll' (cell 4)" in failed
    assert any(line.startswith("  place     flow/step.py:") for line in failed)


def test_a_record_is_indented(project: Project) -> None:
    """run.json can be read by people, and compared line by line."""
    project.flow(WORK)
    text = (run_notebook("flow/step.py", {"n": 1}, instance_name="one").directory / "run.json").read_text()
    assert text.startswith('{\n  "schema": 1,\n  "flow": "flow/step.py",\n')
    assert '\n  "results": {\n    "total": 2,\n' in text
    assert text.endswith("\n}\n")


MADE = [
    "os.mkdir('plots')",
    "os.makedirs('a/b/c')",
    "os.symlink('nowhere', 'link')",
    "os.symlink('/tmp', 'linked')",
    "os.mkfifo('pipe')",
    "open('.hidden.tmp', 'x').close()",
]


def starts_clean(project: Project, made: str) -> None:
    """What an execution makes is cleared away by the next, which could not make it a second time."""
    project.flow(f"# %%\nimport os\n{made}\nif config['n'] == 1: raise RuntimeError('bad row')\n")
    with pytest.raises(FlowError, match="bad row"):
        run_notebook("flow/step.py", {"n": 1}, instance_name="x")
    assert run_notebook("flow/step.py", {"n": 2}, instance_name="x").status == "done"
    assert run_notebook("flow/step.py", {"n": 2}, instance_name="x").skipped
    assert run_notebook("flow/step.py", {"n": 2}, instance_name="x", force=True).status == "done"


@pytest.mark.parametrize("made", MADE)
def test_a_re_run_starts_clean(project: Project, made: str) -> None:
    """Folders, links and pipes that an execution made are cleared away too, after a failure as after a success."""
    starts_clean(project, made)


@pytest.mark.engines("spawn", "kernel")
def test_a_re_run_starts_clean_on_other_engines(project: Project) -> None:
    """So they are, all at once, whatever executed the flow."""
    starts_clean(project, "\n".join(MADE))


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_file_looked_for_in_the_wrong_folder(project: Project) -> None:
    """A relative path of the project, opened in the instance's folder, fails with the call that finds it."""
    project.write("data/stops.csv", "a\n1\n")
    project.flow("# %%\nopen('data/stops.csv')\n")
    with pytest.raises(FlowError, match=r"project_path\('data/stops.csv'\)"):
        run_notebook("flow/step.py", {}, instance_name="x")

"""Flows in bash, on a kernel from PyPI: all that does not need Python holds for them as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import ConfigError, FlowError, FlowFileError, plan_instances, run_instances, run_notebook
from tests.conftest import Project
from tests.once import common_folder, once

from .flows import BASH

pytestmark = pytest.mark.slow
HEAD = '# %% tags=["parameters"]\nn=1\n\n'
ODD = 'it\'s a "tab"\t$HOME `x` !! \\ back\nline ü \u2028 end'


@pytest.fixture
def flow(project: Project) -> str:
    """The project's bash flow, and its input."""
    project.write("data/links.csv", "a\nb\nc\n")
    project.write("flow/count.sh", BASH)
    return "flow/count.sh"


def notebook_of(text: str) -> str:
    """A bash flow as an `.ipynb` file that names the kernel."""
    import jupytext

    notebook = jupytext.reads(text, fmt="sh")
    notebook.metadata["kernelspec"] = {"name": "bash", "display_name": "Bash", "language": "bash"}
    return jupytext.writes(notebook, fmt="ipynb")


@pytest.mark.parametrize("ending", ["sh", "ipynb"])
def test_a_sweep(project: Project, flow: str, ending: str) -> None:
    """Rows arrive as variables, results come back, each instance works in its own folder, side by side."""
    if ending == "ipynb":
        project.write("flow/count.ipynb", notebook_of(BASH))
    rows = pd.DataFrame({"instance_name": ["x", "y"], "alpha": [0.7, 2.5], "name": [ODD, "plain"]})
    frame = run_instances(rows, f"flow/count.{ending}", workers=2, timeout=60)
    assert list(frame["status"]) == ["done", "done"]
    assert list(frame["result.alpha"]) == [0.7, 2.5]
    assert list(frame["result.lines"]) == [3, 3]
    assert list(frame["result.folder"]) == ["x", "y"]
    folder = project.root / "runs" / "count" / "x"
    assert (folder / "name.txt").read_text(encoding="utf-8") == ODD
    assert "alpha is 0.7" in (folder / "run.log").read_text(encoding="utf-8")
    record = project.record("count", "x")
    assert set(record["outputs"]) == {"name.txt", "results.json"}
    assert list(record["fingerprint"]["inputs"]) == ["data/links.csv"]
    assert record["fingerprint"]["kernel"] == "bash"
    assert record["warnings"] is None
    assert run_instances(rows, f"flow/count.{ending}")["status"].tolist() == ["up to date"] * 2


def test_what_makes_it_run_again(project: Project, flow: str) -> None:
    """Config, code without its comments, and named inputs, as for a flow in Python."""
    rows = pd.DataFrame({"instance_name": ["x"], "alpha": [0.7]})
    run_instances(rows, flow, timeout=60)
    project.write("flow/count.sh", BASH.replace("# how many lines the input has", "# counted").replace("a is", "a is"))
    assert plan_instances(rows, flow)["reason"].tolist() == [None]
    assert run_instances(rows, flow)["status"].tolist() == ["refreshed"]
    project.write("flow/count.sh", BASH.replace("alpha is", "alpha:"))
    assert plan_instances(rows, flow)["reason"].tolist() == ["code: cell 2"]
    project.write("flow/count.sh", BASH)
    project.write("data/links.csv", "a\n")
    assert plan_instances(rows, flow)["reason"].tolist() == ["input: data/links.csv"]
    assert plan_instances(rows.assign(alpha=0.8), flow)["reason"].tolist() == [
        "config: alpha 0.7 -> 0.8; input: data/links.csv"
    ]


ENDS = {
    "an error": ("ls no-such-file", "Error", "exit code 2"),
    "a shell that ends at errors": ("set -e; false", "Died", "bash ended in this cell"),
    "an exit": ("exit 0", "Died", "bash ended in this cell"),
    "a killed kernel": ("kill -9 $PPID", "Died", "SIGKILL"),
}
WRONG_RESULTS = {
    "a list": ("[1]", "results.json must hold one object"),
    "an object in it": ('{"a": {}}', "not an object"),
    "half of it": ('{"a": ', "cannot be read as JSON"),
}
CELLS = [code for code, _, _ in ENDS.values()] + [f"echo '{text}' > results.json" for text, _ in WRONG_RESULTS.values()]
AFTER = "\n\n# %%\ntouch after.txt\n"


def run_bad(root: Path) -> None:
    """Have a flow executed that fails in a way of its own in each row, for which rows wait side by side."""
    cases = "\n".join(f"{number})\n{code}\n;;" for number, code in enumerate(CELLS))
    Project(root).write("flow/bad.sh", f"{HEAD}# %%\ncase $n in\n{cases}\nesac{AFTER}")
    names = [name.replace(" ", "-") for name in (*ENDS, *WRONG_RESULTS)]
    rows = pd.DataFrame({"instance_name": names, "n": range(len(names))})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        frame = run_instances(rows, "flow/bad.sh", workers=2, timeout=60, on_error="continue")
    assert frame["status"].eq("failed").all()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the failed instances, where nobody writes."""
    return once(common_folder(tmp_path_factory) / "bad-bash", run_bad) / "runs/bad"


def error_of(directory: Path) -> dict[str, Any]:
    """What the record says of an error."""
    error: dict[str, Any] = json.loads((directory / "run.json").read_text(encoding="utf-8"))["error"]
    return error


@pytest.mark.parametrize("case", ENDS)
def test_a_failing_flow(bad: Path, case: str) -> None:
    """The record says what and where, nothing is executed after it, and a shell that ended is no success."""
    _, kind, message = ENDS[case]
    directory = bad / case.replace(" ", "-")
    error = error_of(directory)
    assert (error["type"], error["cell"]) == (kind, 2)
    assert message in error["message"]
    assert not (directory / "after.txt").exists()


def test_a_flow_that_exceeds_its_time(project: Project) -> None:
    """It is told like any other failure."""
    project.write("flow/bad.sh", f"{HEAD}# %%\nsleep 30{AFTER}")
    with pytest.raises(FlowError):
        run_notebook("flow/bad.sh", {"n": 2}, instance_name="x", timeout=6)
    directory = project.root / "runs/bad/x"
    error = error_of(directory)
    assert (error["type"], error["cell"]) == ("Timeout", 2)
    assert "timed out after 6 s" in error["message"]
    assert not (directory / "after.txt").exists()


@pytest.mark.parametrize("case", WRONG_RESULTS)
def test_results_that_are_none(bad: Path, case: str) -> None:
    """All cells are executed, and the record says what is wrong with what they left."""
    directory = bad / case.replace(" ", "-")
    error = error_of(directory)
    assert (error["type"], error["cell"]) == ("ConfigError", None)
    assert WRONG_RESULTS[case][1] in error["message"]
    assert (directory / "after.txt").exists()


def test_results_of_somebody_else_are_not_taken(project: Project) -> None:
    """A file that lay there before, or that an earlier execution left, says nothing of this one."""
    project.write("flow/maybe.sh", HEAD + "# %%\n[ $n = 1 ] || echo '{\"n\": '$n'}' > results.json\n")
    project.write("runs/maybe/x/results.json", '{"n": 99}')
    rows = pd.DataFrame({"instance_name": ["x", "y"], "n": [1, 2]})
    run_instances(rows, "flow/maybe.sh", workers=2, timeout=60)
    assert [project.record("maybe", name)["results"] for name in "xy"] == [{}, {"n": 2}]
    assert run_notebook("flow/maybe.sh", {"n": 1}, instance_name="y", timeout=60).results == {}


def test_what_cannot_be_given_is_refused_before_anything_runs(project: Project, flow: str) -> None:
    """A misspelt name is no parameter, and bash has no objects; nothing has run."""
    with pytest.raises(ConfigError, match="unknown parameter `alhpa`; did you mean `alpha`"):
        run_instances(pd.DataFrame({"instance_name": ["x"], "alhpa": [1]}), flow)
    with pytest.raises(ConfigError, match=r"x: network: bash has no objects"):
        run_instances(pd.DataFrame({"instance_name": ["x"], "network.a": [1]}), flow)
    assert not (project.root / "runs").exists() or not list((project.root / "runs").glob("count/*/run.json"))


def test_code_that_reads_names_it_does_not_spell_out(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Where `source` may read a parameter, an unknown one is a warning."""
    project.write("flow/helper.sh", "echo $tol > tol.txt\n")
    project.write("flow/late.sh", HEAD + '# %%\nsource "$DUCTAFLOW_PROJECT/flow/helper.sh"\n')
    record = run_notebook("flow/late.sh", {"tol": 3}, instance_name="x", timeout=60)
    assert (record.directory / "tol.txt").read_text() == "3\n"
    assert "unknown parameter `tol`" in capsys.readouterr().err
    assert list(project.record("late", "x")["fingerprint"]["inputs"]) == ["flow/helper.sh"]


def test_a_kernel_that_is_not_installed(project: Project) -> None:
    """The error names the kernels that there are; nothing has run."""
    project.write("flow/x.jl", '# %% tags=["parameters"]\nn = 1\n')
    with pytest.raises(FlowFileError, match=r"the flow is in julia and names no kernel; there are bash \(bash\), "):
        run_instances(pd.DataFrame({"instance_name": ["x"]}), "flow/x.jl")
    with pytest.raises(FlowFileError, match="kernel 'nowhere' is not installed here"):
        plan_instances(pd.DataFrame({"instance_name": ["x"]}), "flow/x.jl", kernel_name="nowhere")


def test_the_command_line(project: Project, flow: str) -> None:
    """The line in the record reproduces the instance."""
    import shlex

    from click.testing import CliRunner

    from ductaflow_runtime.cli.main import main

    record = run_notebook(flow, {"alpha": 3}, instance_name="x", timeout=60, kernel_name="bash")
    assert record.command is not None
    assert record.command.endswith("--kernel bash")
    done = CliRunner().invoke(main, shlex.split(record.command)[1:])
    assert done.exit_code == 0, done.output
    assert "up to date" in done.output
    assert json.loads((record.directory / "config.json").read_text()) == {"alpha": 3}

"""Which kernel executes a flow, and what follows for staleness."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import FlowError, plan_instances, run_instances, run_notebook
from ductaflow_runtime.conductor.project_staleness import staleness_of
from ductaflow_runtime.project import Project as Settled
from tests.cli.test_commands import call
from tests.conftest import HEAD, KERNEL, Project

ROWS = pd.DataFrame({"instance_name": ["x", "y"], "n": [1, 2]})
NAMED = (
    "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: x\n#     language: python\n#     name: theirs\n# ---\n\n"
)
BODY = "# %%\nfrom ductaflow import save_results\n\nsave_results(n=config['n'])\n"


def test_a_python_kernel_that_is_not_installed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook from another machine runs in this Python, and one line says so, however many rows there are."""
    project.write("flow/step.py", NAMED + HEAD + BODY)
    frame = run_instances(ROWS, "flow/step.py")
    assert list(frame["result.n"]) == [1, 2]
    told = [line for line in capsys.readouterr().err.splitlines() if "theirs" in line]
    assert told == ["ductaflow: the flow names the kernel 'theirs', which is not installed here; runs in this Python"]
    assert project.record("step", "x")["fingerprint"]["kernel"] == "python3"


@pytest.mark.slow
def test_another_kernel_is_a_reason(project: Project) -> None:
    """Another environment can give other numbers, so what another kernel gave is not up to date."""
    rows = ROWS[:1]
    project.flow(BODY)
    run_instances(rows, "flow/step.py")
    assert plan_instances(rows, "flow/step.py", kernel_name="python3")["reason"].tolist() == [None]
    reasons = plan_instances(rows, "flow/step.py", kernel_name=KERNEL)["reason"].tolist()
    assert reasons == [f"kernel: python3 -> {KERNEL}"]
    frame = run_instances(rows, "flow/step.py", kernel_name=KERNEL)
    assert list(frame["result.n"]) == [1]
    assert frame["reason"].tolist() == reasons
    (reason,) = plan_instances(rows, "flow/step.py")["reason"]  # of the kernel before, the result is still there
    assert reason.endswith("brought back: same config, code, inputs and packages")


UNCHANGED = """
# %%
import warnings
import helper

warnings.warn("careful")
root = __import__("pathlib").Path.cwd().parents[2]
with open(root.joinpath(*helper.WHERE)) as file:
    text = file.read()
open("out.txt", "w").write(text)
"""
WITHOUT = """
import sys
sys.modules["ductaflow_runtime"] = None
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


@pytest.mark.slow
def test_a_flow_that_never_calls_ductaflow(project: Project) -> None:
    """On a real kernel as well it is seen from its first cell on what a papermill notebook imports, reads, warns of."""
    project.write("helper.py", "WHERE = ('data', 'a.csv')\n")
    data = project.write("data/a.csv", "1")
    project.write("flow/step.py", '# %% tags=["parameters"]\nn = 1\n' + UNCHANGED)
    run_instances(ROWS[:1], "flow/step.py", kernel_name=KERNEL)
    record = project.record("step", "x")
    assert (record["warnings"], list(record["outputs"])) == (1, ["out.txt"])
    assert list(record["fingerprint"]["modules"]) == ["helper.py"]
    assert list(record["fingerprint"]["inputs"]) == ["data/a.csv"]
    data.write_text("2")
    assert plan_instances(ROWS[:1], "flow/step.py", kernel_name=KERNEL)["reason"].tolist() == ["input: data/a.csv"]


@pytest.mark.slow
def test_a_kernel_without_ductaflow(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody saw is told as unknown, and one line says what that means."""
    command = [sys.executable, "-c", WITHOUT, "-f", "{connection_file}"]
    told = {"argv": command, "display_name": "Theirs", "language": "python"}
    spec = tmp_path / "kernels" / "without" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    project.write("flow/step.py", '# %% tags=["parameters"]\nn = 1\n\n# %%\nprint(n)\n')
    frame = run_instances(ROWS, "flow/step.py", kernel_name="without")
    assert frame["status"].tolist() == ["done"] * 2
    record = project.record("step", "x")
    assert (record["warnings"], record["environment"]["python"]) == (None, None)
    assert capsys.readouterr().err.count("the kernel 'without' has no ductaflow") == 1


def test_a_record_of_a_version_that_did_not_note_the_kernel_is_up_to_date(project: Project) -> None:
    """Nobody knows which kernel it was: nothing is executed again for that."""
    project.flow(BODY)
    path = run_notebook("flow/step.py", {"n": 1}, instance_name="x").directory / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["fingerprint"]["kernel"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert run_notebook("flow/step.py", {"n": 1}, instance_name="x").skipped


IMPORTS = "# %%\nimport importlib\nimport networkx\n\nimportlib.import_module('psutil')\n"


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["python3", KERNEL])
def test_a_kernel_of_this_python_has_its_packages(project: Project, kernel: str) -> None:
    """They are recorded as without a kernel, so that another version makes the instance run again."""
    project.flow(IMPORTS)
    assert run_notebook("flow/step.py", {}, instance_name="x", kernel_name=kernel).status == "done"
    run_notebook("flow/step.py", {}, instance_name="y")
    packages = project.record("step", "x")["fingerprint"]["packages"]
    assert {"networkx", "psutil"} <= {*packages}
    assert packages == project.record("step", "y")["fingerprint"]["packages"]


@pytest.mark.slow
def test_a_kernel_of_another_python_goes_by_another_name(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called: its packages are not known here, so what it gave is not up to date in this Python."""
    python = tmp_path / "other/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    spec = tmp_path / "kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path), prepend=os.pathsep)
    project.flow(IMPORTS)
    run_notebook("flow/step.py", {}, instance_name="x", kernel_name="python3")
    seen = project.record("step", "x")["fingerprint"]
    assert (seen["kernel"], seen["packages"]) == (f"python3 of {python}", {})
    assert run_notebook("flow/step.py", {}, instance_name="x", kernel_name="python3").skipped
    (reason,) = plan_instances(pd.DataFrame({"instance_name": ["x"]}), "flow/step.py")["reason"]
    assert reason == f"kernel: python3 of {python} -> python3"


SILENT = """
# %%
from ductaflow import save_results
shell = get_ipython()
{first}

# %%
save_results(n=config["n"])
{then}
"""
IN_A_FILE = "shell.payload_manager.write_payload = lambda told: None"
EMPTIED = """import os, shutil
shutil.rmtree(os.path.dirname(__import__("json").loads(os.environ["DUCTAFLOW_EXECUTION"])["handoff"]))"""


@pytest.mark.slow
def test_a_kernel_that_answers_in_a_file_only(project: Project) -> None:
    """One with an older ductaflow is heard too."""
    project.flow(SILENT.format(first=IN_A_FILE, then=""))
    record = run_notebook("flow/step.py", {"n": 4}, kernel_name=KERNEL)
    assert (record.results, record.warnings) == ({"n": 4}, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"), [("shell.events.callbacks['post_run_cell'].clear()", ""), (IN_A_FILE, EMPTIED)]
)
def test_a_kernel_that_stops_answering(project: Project, first: str, then: str) -> None:
    """What it saved and read since is not known, so the instance is failed, and not done without it."""
    project.flow(SILENT.format(first=first, then=then))
    with pytest.raises(FlowError, match="the kernel stopped telling what the flow saves and reads"):
        run_notebook("flow/step.py", {"n": 4}, instance_name="x", kernel_name=KERNEL)
    record = project.record("step", "x")
    assert (record["status"], record["error"]["type"]) == ("failed", "Untold")


def install_kernel(folder: Path, name: str) -> None:
    """Have a Python kernel of that name found in a folder."""
    spec = folder / "kernels" / name / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": name, "language": "python"}))


def told_by_all(project: Project) -> list[str | None]:
    """Why row x is not up to date: as the plan, `ductaflow status` and the status page have it."""
    (planned,) = plan_instances(ROWS[:1], "flow/step.py")["reason"]
    shown = [line for line in call("status").splitlines() if line.endswith("(step/x)")]
    page = staleness_of(Settled.at(project.root)).reasons.get(("step", "x"))
    return [planned, *(line.strip().removeprefix("1  ").removesuffix("  (step/x)") for line in shown), page]


def test_status_page_and_accept_know_the_kernel(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that the flow names, and that is installed by now, is a reason wherever reasons are told."""
    project.write("flow/step.py", NAMED + HEAD + BODY)
    run_instances(ROWS[:1], "flow/step.py")
    assert told_by_all(project) == [None, None]
    install_kernel(tmp_path, "theirs")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path), prepend=os.pathsep)
    assert told_by_all(project) == ["kernel: python3 -> theirs"] * 3
    told = call("accept", "step").splitlines()
    assert told[0] == "step/x: accepted (kernel: python3 -> theirs)"
    assert told[1].startswith("step: 1 instance accepted without being executed")
    planned, accepted, page = told_by_all(project)
    assert (planned, page) == (None, None)
    assert (accepted or "").endswith("although: kernel: python3 -> theirs")
    assert project.record("step", "x")["fingerprint"]["kernel"] == "theirs"


@pytest.mark.slow
def test_what_a_call_asked_a_kernel_for_is_up_to_date(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only that call knows of its kernel; status, page and accept take it that the next one asks for the same."""
    install_kernel(tmp_path, "asked-for")
    with monkeypatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(tmp_path), prepend=os.pathsep)
        project.flow(BODY)
        run_instances(ROWS[:1], "flow/step.py", kernel_name="asked-for")
        assert "No longer up to date" not in call("status")
        assert call("accept", "step", "x") == "step/x: up to date, nothing to accept\n"
    assert "kernel 'asked-for' is not installed here" in call("status")
    assert "step/x: kernel 'asked-for' is not installed here" in call("accept", "step", "x", code=2)


@pytest.mark.slow
def test_an_inner_run_has_a_kernel_of_its_own(project: Project) -> None:
    """What a flow on another kernel runs without one is up to date, and so is the flow."""
    project.flow(BODY, "flow/inner.py")
    project.flow(
        "# %%\nfrom ductaflow import run_step_flow, save_results\n\n"
        "save_results(n=run_step_flow('flow/inner.py', 'inner', 'one', {'n': config['n']}).results['n'])\n"
    )
    assert run_notebook("flow/step.py", {"n": 3}, instance_name="x", kernel_name=KERNEL).results == {"n": 3}
    assert run_notebook("flow/step.py", {"n": 3}, instance_name="x", kernel_name=KERNEL).skipped
    assert "No longer up to date" not in call("status")

"""One flow, three ways to run it, the same results."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ductaflow import run_notebook
from ductaflow_runtime.runs.record import Record, read_record
from tests.conftest import Project
from tests.kernels import run_cells
from tests.once import common_folder, once

BODY = """
# %%
from ductaflow import display_config_summary, project_path, save_results

display_config_summary(config, "My Analysis")

# %%
import pandas as pd

from lib.costs import unit_cost
from neighbour import LABEL

links = pd.read_csv(project_path("data", "links.csv"))
links["cost"] = links["length"] * unit_cost * config["params"]["factor"]
links.to_csv("costs.csv", index=False)
with open("where.txt", "w") as file:
    file.write(f"{project_path('data', 'links.csv')} {LABEL} {config}")
save_results(total=float(links["cost"].sum()))
"""


# As many cells, at less cost, where what they do does not matter.
LIGHT_BODY = "# %%\nfrom ductaflow import save_results\n\n# %%\nsave_results(total=1.5)\n"


def fill(project: Project) -> Project:
    """Write a flow that uses all that could differ between the modes, and what it needs."""
    project.write("lib/__init__.py", "")
    project.write("lib/costs.py", "unit_cost = 1.5\n")
    project.write("flow/neighbour.py", "LABEL = 'beside the flow'\n")
    project.write("data/links.csv", "from,to,length\n1,2,3.25\n2,3,4.5\n")
    project.write("config/base.json", json.dumps({"params": {"factor": 0.1, "name": "Zürich", "none": None}}))
    project.flow(BODY, "flow/costs.py")
    return project


@pytest.fixture
def same(project: Project) -> Project:
    """A project whose flow uses all that could differ between the modes."""
    return fill(project)


def script(project: Project, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the flow as a script from the project root."""
    ended = subprocess.run(
        [sys.executable, "flow/costs.py", *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        **options,
    )
    assert ended.returncode == code, ended.stderr
    return ended


def open_as_notebook(root: Path) -> nbformat.NotebookNode:
    """Run all cells in the flow's folder on a real kernel with nothing injected, as an editor would."""
    import jupytext

    notebook = jupytext.read(root / "flow/costs.py")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return run_cells(notebook, root / "flow")


@dataclass(frozen=True)
class Ran:
    """A project whose flow has run as a script, into `runs/costs/a`, and from a conductor."""

    root: Path
    scripted: Record
    other: Record


def run_both_ways(root: Path, engine: str) -> None:
    """Have the flow run as a script and from a conductor."""
    project = fill(Project(root, engine))
    script(project, "--config", "config/base.json", "--output-dir", "runs/costs/a")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run_notebook("flow/costs.py", json.loads((root / "config/base.json").read_text()), instance_name="b")


@pytest.fixture
def ran(engine: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The instance of the script as a conductor sees it, and another one that a conductor has executed."""
    root = once(common_folder(tmp_path_factory) / f"both-ways-{engine}", partial(run_both_ways, engine=engine))
    monkeypatch.chdir(root)
    config = json.loads((root / "config/base.json").read_text())
    scripted = run_notebook("flow/costs.py", config, instance_name="a")
    other = read_record(root / "runs/costs/b")
    assert other is not None
    return Ran(root, scripted, other)


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.slow
def test_three_ways_one_result(ran: Ran) -> None:
    """Opened as a notebook, run as a script, and run from the conductor, a flow writes the same bytes."""
    record = ran.other
    notebook = open_as_notebook(ran.root)
    folders = [record.directory, ran.root / "runs/costs/a", ran.root / "flow"]
    for name in ("costs.csv", "where.txt"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1
    assert ran.scripted.results == record.results == {"total": (3.25 + 4.5) * 1.5 * 0.1}
    printed = [output for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    assert "config/base.json" in printed[0]["text"]


@pytest.mark.slow
def test_an_opened_flow_keeps_a_config_that_is_given(same: Project) -> None:
    """What the analyst wrote in the parameters cell is not replaced by the default."""
    text = (same.root / "flow/costs.py").read_text().replace("config = {}", 'config = {"params": {"factor": 2}}', 1)
    (same.root / "flow/costs.py").write_text(text)
    open_as_notebook(same.root)
    assert "'factor': 2}" in (same.root / "flow/where.txt").read_text()


def test_a_script_ends_with_its_results(same: Project) -> None:
    """The last line on stderr says what was saved, and where that lies; of one that fails, it is the error."""
    ended = script(same, "--config", "config/base.json", "--output-dir", "runs/costs/a")
    told = re.fullmatch(r"costs/a: done in [\d.]+ s: total = [\d.]+ \((.+)\)", ended.stderr.splitlines()[-1])
    assert told is not None
    assert Path(told[1]) == same.root / "runs/costs/a"
    (same.root / "flow/costs.py").write_text((same.root / "flow/costs.py").read_text() + "1 / 0\n")
    ended = script(same, "--config", "config/base.json", "--output-dir", "runs/costs/b", code=1)
    assert ended.stderr.splitlines()[-1].startswith("ZeroDivisionError")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_script_run_counts_like_any_other(ran: Ran, engine: str) -> None:
    """After a run as a script, the conductor finds the instance up to date; the records agree."""
    record, other = ran.scripted, ran.other
    assert record.skipped
    # Which packages another kernel's environment holds is not looked up.
    parts = ("config", "code", "modules") if engine == "kernel" else ("config", "code", "modules", "packages")
    assert {part: record.fingerprint[part] for part in parts} == {part: other.fingerprint[part] for part in parts}
    assert record.fingerprint["inputs"].keys() == other.fingerprint["inputs"].keys() == {"data/links.csv"}
    assert record.outputs.keys() == other.outputs.keys() == {"costs.csv", "where.txt"}
    assert "out | My Analysis" in record.log.read_text()


def test_a_script_without_output_dir_works_in_its_own_folder(same: Project) -> None:
    """`python flow/x.py` uses the default config and leaves no record."""
    ended = script(same)
    assert "My Analysis" in ended.stdout
    assert (same.root / "flow/costs.csv").is_file()
    assert not (same.root / "runs").exists()


def test_settings_on_the_command_line(same: Project) -> None:
    """--set changes one value; what is not JSON is text; paths are the caller's."""
    script(
        same, "--config", "config/base.json", "--set", "params.factor=2", "--set", "params.name=plain text",
        "--output-dir", "runs/costs/set",
    )  # fmt: skip
    config = json.loads((same.root / "runs/costs/set/config.json").read_text())
    assert config["params"] == {"factor": 2, "name": "plain text", "none": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config", "nowhere.json"), "config file not found"),
        (("--config", "flow/costs.py"), "not valid JSON"),
        (("--set", "novalue"), "key=value"),
        (("--set", "params.factor.deep=1"), "holds a value"),
        (("--output-dir", "runs/costs/CON"), "reserved on Windows"),
        (("--output-dir", "pyproject.toml"), "cannot be used"),
    ],
)
def test_wrong_arguments_end_with_a_message(same: Project, arguments: tuple[str, ...], message: str) -> None:
    """Bad input ends a script with exit code 2, one clear line, and nothing made."""
    ended = script(same, *arguments, code=2)
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (same.root / "runs/costs").exists()


@pytest.mark.parametrize(
    ("line", "code", "kind", "cell"),
    [
        ("raise KeyError('toll')", 1, "KeyError", 5),
        ("import sys; sys.exit(3)", 3, "SystemExit", 5),
        ("import sys; sys.exit('no')", 1, "SystemExit", 5),
        ("raise SystemExit(3)", 3, "SystemExit", 5),
    ],
)
def test_a_failing_script_leaves_a_failed_record(same: Project, line: str, code: int, kind: str, cell: int) -> None:
    """A script's error is in its record, with the cell, and its traceback in its log."""
    same.flow(f"{LIGHT_BODY}\n# %%\n{line}\n", "flow/costs.py")
    script(same, "--output-dir", "runs/costs/bad", code=code)
    stored = same.record("costs", "bad")
    assert (stored["status"], stored["error"]["type"], stored["error"]["cell"]) == ("failed", kind, cell)
    if kind == "KeyError":
        assert "err | KeyError: 'toll'" in (same.root / "runs/costs/bad/run.log").read_text()


def test_a_killed_script_counts_as_interrupted(same: Project) -> None:
    """A script that was killed left `running`; the next run of the conductor sees that nobody is at it."""
    same.flow("# %%\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "flow/costs.py")
    script(same, "--output-dir", "runs/costs/x", code=-signal.SIGKILL)
    assert same.record("costs", "x")["status"] == "running"
    same.flow("# %%\nprint('mended')\n", "flow/costs.py")
    record = run_notebook("flow/costs.py", json.loads((same.root / "config/base.json").read_text()), instance_name="x")
    assert (record.status, record.reason) == ("done", "interrupted")


def test_the_command_that_a_record_names_reproduces_it(same: Project) -> None:
    """Typing the record's command in the project root executes the same instance again."""
    config = json.loads((same.root / "config/base.json").read_text())
    record = run_notebook("flow/costs.py", config, instance_name="two words & {more}")
    before = (record.directory / "costs.csv").read_bytes()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(record.command, shell=True, cwd=same.root, check=True, env=environment, capture_output=True)
    again = same.record("costs", "two words & {more}")
    assert again["started"] > record.started
    assert (record.directory / "costs.csv").read_bytes() == before


def test_the_command_of_a_flow_without_a_cli_cell(project: Project) -> None:
    """As a script it would run with the values of its parameters cell, so the command is another one."""
    from click.testing import CliRunner

    from ductaflow_runtime.cli.main import main

    project.write("flow/plain.py", '# %% tags=["parameters"]\nx = 1\n\n# %%\nopen("x.txt", "w").write(str(x))\n')
    record = run_notebook("flow/plain.py", {"x": 2}, instance_name="two words")
    folder = "runs/plain/two words"
    assert (
        record.command == f"ductaflow run flow/plain.py --config '{folder}/config.json' --step plain --name 'two words'"
    )
    (record.directory / "x.txt").unlink()
    done = CliRunner().invoke(main, shlex.split(record.command)[1:])
    assert done.exit_code == 0, done.output
    assert (record.directory / "x.txt").read_text() == "2"
    project.write("flow/variables.py", "from ductaflow import load_cli_parameters\n\nx = 1\nload_cli_parameters()\n")
    assert (run_notebook("flow/variables.py", {}).command or "").startswith("python flow/variables.py --config ")


def test_the_command_takes_the_same_default_as_the_script(same: Project) -> None:
    """`ductaflow run` and `plan` without --config use the file that the flow's CLI cell names."""
    from click.testing import CliRunner

    from ductaflow_runtime.cli.main import main

    ended = CliRunner().invoke(main, ["run", "flow/costs.py", "--set", "params.factor=2", "--name", "two"])
    assert ended.exit_code == 0, ended.output
    default = json.loads((same.root / "config/base.json").read_text())
    stored = json.loads((same.root / "runs/costs/two/config.json").read_text())
    assert stored == {**default, "params": {**default["params"], "factor": 2}}
    planned = CliRunner().invoke(main, ["plan", "flow/costs.py", "--name", "two"])
    assert "config: params.factor 2 -> " in planned.output


def test_two_scripts_do_not_write_to_one_place_unasked(project: Project) -> None:
    """A call from an instance's folder that does not say where to write is refused: it would not write there."""
    project.flow("print(config)")
    here = project.root / "runs" / "step" / "a"
    here.mkdir(parents=True)
    (here / "config.json").write_text("{}")
    command = [sys.executable, "../../../flow/step.py", "--config", "config.json"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "called in runs/step/a, the folder of an instance, without --output-dir" in done.stderr
    assert "Add --output-dir ." in done.stderr

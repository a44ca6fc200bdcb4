"""Script mode of flows whose parameters are variables, as papermill has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ductaflow import FlowFileError, load_cli_parameters, load_results, run_notebook
from tests.conftest import Project
from tests.kernels import run_cells

FLOW = """\
# %% tags=["parameters"]
alpha = 0.1  # type: float  learning rate
name = "Zürich"
grid = {"n": 3}
nothing = 1

# %%
from ductaflow import load_cli_parameters

load_cli_parameters("A sweep of alpha")

# %%
from ductaflow import project_path, save_results
from neighbour import LABEL

with open("out.txt", "w", encoding="utf-8") as file:
    file.write(f"{alpha!r} {name} {grid} {nothing} {LABEL} {project_path('flow')}")
save_results(alpha=alpha)
"""


@pytest.fixture
def variables(project: Project) -> Project:
    """A project with such a flow."""
    project.write("flow/neighbour.py", "LABEL = 'beside the flow'\n")
    project.write("config/other.json", '{"alpha": 0.7, "nothing": null}')
    project.write("flow/step.py", FLOW)
    return project


def script(project: Project, *arguments: str, code: int = 0, flow: str = "flow/step.py") -> str:
    """Run the flow as a script; gives what it printed."""
    command = [sys.executable, flow, *arguments]
    ended = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def written(project: Project, folder: str) -> str:
    """What the flow wrote, the project's place left out."""
    return (project.root / folder / "out.txt").read_text(encoding="utf-8").replace(f" {project.root}", "")


def test_a_script_has_the_defaults_of_the_parameters_cell(variables: Project) -> None:
    """Without arguments it works in its own folder and leaves no record, like any flow."""
    assert "result alpha = 0.1" in script(variables)
    assert written(variables, "flow") == "0.1 Zürich {'n': 3} 1 beside the flow/flow"
    assert not (variables.root / "runs").exists()


def test_config_files_and_settings_change_them(variables: Project) -> None:
    """A value that is given replaces the variable, `null` and objects too; the record holds what was given."""
    given = ["--config", "config/other.json", "--set", "grid.n=5", "--set", "name=Bern"]
    script(variables, *given, "--output-dir", "runs/step/a")
    assert written(variables, "runs/step/a") == "0.7 Bern {'n': 5} None beside the flow/flow"
    record = variables.record("step", "a")
    assert (record["status"], record["results"]) == ("done", {"alpha": 0.7})
    config = {"alpha": 0.7, "nothing": None, "grid": {"n": 5}, "name": "Bern"}
    assert record["fingerprint"]["config"] == config
    assert json.loads((variables.root / "runs/step/a/config.json").read_text(encoding="utf-8")) == config


def test_a_script_run_that_is_given_nothing_has_an_empty_config(variables: Project) -> None:
    """The defaults are part of the code, so they are not part of the config."""
    script(variables, "--output-dir", "runs/step/a")
    assert variables.record("step", "a")["fingerprint"]["config"] == {}
    assert load_results("step")["result.alpha"].tolist() == [0.1]


def test_help_says_where_the_defaults_are(variables: Project) -> None:
    """The description is the flow's own."""
    told = script(variables, "--help")
    assert "A sweep of alpha" in told
    assert "(default: the values in the parameters cell)" in " ".join(told.split())


def test_a_wrong_argument_ends_the_script(variables: Project) -> None:
    """Exit code 2 and a message, before anything is computed."""
    assert "config file not found" in script(variables, "--config", "config/none.json", code=2)
    assert "--set alpha: write it as key=value" in script(variables, "--set", "alpha", code=2)
    assert not (variables.root / "flow/out.txt").exists()


def test_a_sweep_and_a_script_give_the_same(variables: Project) -> None:
    """The conductor injects what the script sets: same outputs, same config, and each finds the other's up to date."""
    config = {"alpha": 0.7, "nothing": None, "grid": {"n": 5}}
    script(variables, "--config", "config/other.json", "--set", "grid.n=5", "--output-dir", "runs/step/a")
    assert run_notebook("flow/step.py", config, instance_name="a").skipped
    other = run_notebook("flow/step.py", config, instance_name="b")
    assert written(variables, "runs/step/a") == written(variables, "runs/step/b")
    scripted, swept = (variables.record("step", name) for name in "ab")
    for part in ("config", "code", "modules", "packages"):
        assert scripted["fingerprint"][part] == swept["fingerprint"][part]
    assert scripted["results"] == swept["results"] == other.results == {"alpha": 0.7}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_in_a_sweep_the_line_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """What is injected stays, in each engine."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, engine)
    project.write("flow/neighbour.py", "LABEL = 'beside the flow'\n")
    project.write_flow("flow/step.py", FLOW)
    assert run_notebook("flow/step.py", {"alpha": 0.7}, instance_name="a").results == {"alpha": 0.7}
    assert written(project, "runs/step/a") == "0.7 Zürich {'n': 3} 1 beside the flow/flow"


def test_a_changed_default_makes_scripts_and_sweeps_stale(variables: Project) -> None:
    """It is code, so what was computed with the old one is not up to date."""
    script(variables, "--set", "name=Bern", "--output-dir", "runs/step/a")
    variables.write("flow/step.py", FLOW.replace("alpha = 0.1", "alpha = 0.2"))
    record = run_notebook("flow/step.py", {"name": "Bern"}, instance_name="a")
    assert record.reason is not None
    assert "alpha 0.1 -> 0.2" in record.reason
    assert record.results == {"alpha": 0.2}


def test_a_misspelt_parameter_ends_the_script(variables: Project) -> None:
    """On the command line and in a config file, before anything is computed, with the nearest name."""
    variables.write("config/wrong.json", '{"alhpa": 1}')
    for given in (["--set", "alhpa=1"], ["--config", "config/wrong.json"]):
        assert "unknown parameter `alhpa`; did you mean `alpha`?" in script(variables, *given, code=2)
    assert not (variables.root / "flow/out.txt").exists()


@pytest.mark.slow
def test_opened_as_a_notebook_nothing_is_changed(variables: Project) -> None:
    """Its variables are what the parameters cell says, and the project is importable from there on."""
    import jupytext

    notebook = jupytext.read(variables.root / "flow/step.py")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    run_cells(notebook, variables.root / "flow")
    assert written(variables, "flow") == "0.1 Zürich {'n': 3} 1 beside the flow/flow"


def test_a_flow_that_takes_config_says_so(variables: Project) -> None:
    """Where a notebook would get `config`, variables set in a script would be another result."""
    variables.write("flow/other.py", FLOW.replace("alpha = 0.1", "config = {}\nalpha = 0.1"))
    told = script(variables, "--set", "alpha=2", code=2, flow="flow/other.py")
    assert "is given its parameters in `config`" in told
    assert "write config = load_cli_config(...), or take `config` out of the flow" in told


LOADED = FLOW.replace(
    'load_cli_parameters("A sweep of alpha")',
    'from ductaflow import load_cli_config\nconfig = load_cli_config("config/other.json")',
)


def test_a_config_that_the_variables_would_not_see_is_refused(variables: Project) -> None:
    """`--set alpha=2` into a `config` that nobody reads would compute with the default."""
    variables.write("flow/other.py", LOADED)
    told = script(variables, "--set", "alpha=2", code=2, flow="flow/other.py")
    assert "nothing reads the `config` that load_cli_config gives" in told
    assert "write load_cli_parameters() in place of the lines with load_cli_config" in told


@pytest.mark.parametrize(
    ("line", "by"),
    [
        ('config = load_cli_config("config/other.json")', '\nalpha = config["alpha"]'),
        ('config = load_cli_config("config/other.json")', "\nglobals().update(config)"),
        ('globals().update(load_cli_config("config/other.json"))', ""),
        ('alpha = load_cli_config("config/other.json")["alpha"]', ""),
    ],
)
def test_a_script_may_do_with_its_config_what_it_likes(variables: Project, line: str, by: str) -> None:
    """Where the code hands on what it has loaded, nothing is refused."""
    text = LOADED.replace('config = load_cli_config("config/other.json")', line + by)
    variables.write("flow/other.py", text)
    script(variables, "--set", "alpha=2", "--output-dir", "runs/other/a", flow="flow/other.py")
    assert written(variables, "runs/other/a").startswith("2 ")


def test_a_script_that_is_no_flow_loads_its_config(project: Project) -> None:
    """Without a parameters cell a script has no other way to be given anything."""
    project.write("config/base.json", '{"alpha": 2}')
    loaded = 'from ductaflow import load_cli_config\nconfig = load_cli_config("config/base.json")\n'
    project.write("flow/step.py", f"alpha = 1\n{loaded}print(config)\n")
    assert "{'alpha': 3}" in script(project, "--set", "alpha=3")


def test_a_flow_that_says_nothing_takes_config(project: Project) -> None:
    """A parameters cell with a comment alone is one for `config`, as it always was."""
    project.write("config/base.json", '{"alpha": 2}')
    project.write_flow(
        "flow/step.py",
        '# %% tags=["parameters"]\n# injected\n\n# %%\nfrom ductaflow import is_notebook_execution, load_cli_config\n\n'
        'if not is_notebook_execution():\n    config = load_cli_config("config/base.json")\n\n'
        '# %%\nprint("alpha is", config["alpha"])\n',
    )
    assert "alpha is 3" in script(project, "--set", "alpha=3")


def test_another_module_cannot_call_it_for_the_flow(variables: Project) -> None:
    """It sets the variables where it is called, so a helper's call would leave the flow's as they are."""
    helper = "from ductaflow import load_cli_parameters\n\n\ndef prepare():\n    load_cli_parameters()\n"
    variables.write("flow/helper.py", helper)
    text = FLOW.replace(
        "from ductaflow import load_cli_parameters\n\nload_cli_parameters(", "import helper\nhelper.prepare("
    )
    variables.write("flow/other.py", text.replace('"A sweep of alpha"', ""))
    told = script(variables, code=1, flow="flow/other.py")
    assert "call it in the flow itself, below its parameters cell" in told
    with pytest.raises(FlowFileError, match=r"test_cli_parameters\.py calls"):
        load_cli_parameters()


@pytest.mark.slow
def test_processes_that_a_script_starts_have_the_parameters_too(variables: Project) -> None:
    """A process made by `spawn` imports the script again, and computes with the same values."""
    body = """
# %%
import multiprocessing


def told(number):
    return number * alpha


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("products", pool.map(told, [1, 2]))
"""
    head = FLOW.partition("# %%\nfrom ductaflow import project_path")[0]
    (variables.root / "flow/pool.py").write_text(head + body, encoding="utf-8")
    assert "products [0.5, 1.0]" in script(variables, "--set", "alpha=0.5", flow="flow/pool.py")

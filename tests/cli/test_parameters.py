"""`ductaflow parameters`: what a flow can be given."""

from __future__ import annotations

from click.testing import CliRunner

from ductaflow_runtime.cli.main import main
from tests.conftest import Project


def listed(flow: str) -> list[str]:
    """What the command prints."""
    ended = CliRunner().invoke(main, ["parameters", flow])
    assert ended.exit_code == 0, ended.output
    return ended.output.splitlines()


def test_variables_are_listed_with_hint_and_comment(project: Project) -> None:
    """A flow of papermill's kind: name, default, type, comment, in the order of the cell."""
    cell = "alpha = 0.1  # type: float  learning rate\nn_steps: int = 10\noptions = {'seed': 1}\n"
    project.write_flow(
        "flow/step.py", f'# %% tags=["parameters"]\n{cell}\n# %%\nprint(alpha, n_steps, options, days)\n'
    )
    assert listed("flow/step.py") == [
        "flow/step.py takes each parameter as a variable:",
        "  alpha    0.1          float  learning rate",
        "  n_steps  10           int",
        "  options  {'seed': 1}",
        "Read by the code, and without a default: days",
    ]


def test_keys_are_listed_with_the_file_that_they_come_from(project: Project) -> None:
    """A flow that takes `config`: the default config's keys and values, and what is read without a default."""
    project.flow('# %%\nprint(config["toll"], config["model"]["depth"], config["year"])\n')
    project.write("config/base.json", '{"toll": 2, "model": {"depth": 3, "name": "a"}}')
    assert listed("flow/step.py") == [
        "flow/step.py takes its parameters in `config`.",
        "Defaults in config/base.json:",
        "  toll         2",
        "  model.depth  3",
        '  model.name   "a"',
        "Read by the code, and without a default: year",
    ]
    assert not (project.root / "runs").exists()


def test_a_config_in_the_cell_is_listed_too(project: Project) -> None:
    """Defaults that stand in the parameters cell are named as such, and a flow that hides its keys says so."""
    project.write_flow(
        "flow/step.py", '# %% tags=["parameters"]\nconfig = {"a": 1}\n\n# %%\nfor key in config:\n    print(key)\n'
    )
    assert listed("flow/step.py") == [
        "flow/step.py takes its parameters in `config`.",
        "Defaults in the parameters cell:",
        "  a  1",
        "There may be others: cell 2 iterates over config.",
    ]


def test_a_flow_without_parameters_cell(project: Project) -> None:
    """It can be given nothing, and that is what the command says."""
    project.write_flow("flow/step.py", "# %%\nprint(1)\n")
    assert listed("flow/step.py") == ["flow/step.py has no parameters cell: it can be given nothing."]


def test_a_default_config_that_is_missing(project: Project) -> None:
    """The message names the file; exit code 2."""
    project.flow("# %%\nprint(config)\n")
    ended = CliRunner().invoke(main, ["parameters", "flow/step.py"])
    assert ended.exit_code == 2
    assert "config file not found" in ended.output


def test_a_default_config_that_is_missing_is_an_error(project: Project) -> None:
    """The flow names `config/base.json`: without it, the command would compute with nothing, and call that done."""
    project.flow('# %%\nprint(config.get("toll", 5))\n')
    for command in ("run", "plan"):
        for given in ([], ["--set", "toll=1"]):
            ended = CliRunner().invoke(main, [command, "flow/step.py", *given])
            assert (ended.exit_code, ended.output.count("config file not found")) == (2, 1), ended.output
    assert not (project.root / "runs").exists()
    project.write("other.json", "{}")
    ended = CliRunner().invoke(main, ["run", "flow/step.py", "--config", "other.json", "--name", "a"])
    assert ended.exit_code == 0, ended.output

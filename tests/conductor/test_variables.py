"""Papermill's own convention: a parameters cell of variables gets each key as a variable, however it is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import ConfigError, load_results, plan_instances, run_instances, run_notebook
from tests.conftest import KERNEL, Project

CELL = "alpha = 0.1  # type: float  learning rate\nratio = 0.5\noptions = {'seed': 1}\n"
CODE = "from ductaflow import save_results\nsave_results(alpha=alpha, ratio=ratio, seed=options['seed'])\n"


def write_notebook(project: Project, cells: list[tuple[str, list[str]]], name: str = "flow/step.ipynb") -> str:
    """A notebook flow of code cells with tags, for the project's engine."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source, metadata={"tags": tags}) for source, tags in cells]
    if project.engine == "kernel":
        notebook.metadata["kernelspec"] = {"name": KERNEL, "language": "python", "display_name": "Python of the tests"}
    path = project.root / name
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return name


@pytest.fixture(params=["ipynb", "py"])
def flow(request: pytest.FixtureRequest, project: Project) -> str:
    """The flow with `alpha = 0.1; ratio = 0.5` in its parameters cell, as a notebook and as a percent file."""
    if request.param == "ipynb":
        return write_notebook(project, [("import json\n", []), (CELL, ["parameters"]), (CODE, [])])
    text = f'# %%\nimport json\n\n# %% tags=["parameters"]\n{CELL}\n# %%\n{CODE}'
    project.write_flow("flow/step.py", text)
    return "flow/step.py"


def injected(project: Project, name: str) -> list[str]:
    """The sources of the injected cells in a stored notebook, and where the cell before each is."""
    cells = project.notebook("step", name)["cells"]
    at = [number for number, cell in enumerate(cells) if "injected-parameters" in cell["metadata"].get("tags", [])]
    assert all("parameters" in cells[number - 1]["metadata"]["tags"] for number in at)
    return ["".join(cells[number]["source"]) for number in at]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_each_value_arrives_as_a_variable(project: Project, flow: str) -> None:
    """A sweep over `alpha` computes with the row's alpha, in `run_instances`, `run_notebook` and the command."""
    frame = pd.DataFrame({"instance_name": ["a", "b"], "alpha": [0.7, 0.9], "options.seed": [2, 3]})
    results = run_instances(frame, flow)
    assert results["result.alpha"].tolist() == [0.7, 0.9]
    assert results["result.ratio"].tolist() == [0.5, 0.5]
    assert results["result.seed"].tolist() == [2, 3]
    assert injected(project, "a") == ['# Parameters\nalpha = 0.7\noptions = {"seed": 2}\n']
    record = run_notebook(flow, {"alpha": 0.3}, instance_name="c")
    assert record.results == {"alpha": 0.3, "ratio": 0.5, "seed": 1}
    from ductaflow_runtime.cli.main import main

    ended = CliRunner().invoke(main, ["run", flow, "--set", "ratio=0.25", "--name", "d"])
    assert ended.exit_code == 0, ended.output
    assert project.record("step", "d")["results"] == {"alpha": 0.1, "ratio": 0.25, "seed": 1}
    assert plan_instances(frame, flow)["reason"].isna().all()


@pytest.mark.engines("fork", "spawn")
def test_nothing_given_means_the_defaults(project: Project, flow: str) -> None:
    """An empty config injects nothing, as papermill does."""
    assert run_notebook(flow, {}, instance_name="a").results == {"alpha": 0.1, "ratio": 0.5, "seed": 1}
    assert injected(project, "a") == []


def test_a_changed_default_is_told_by_name(project: Project, flow: str) -> None:
    """A default in the parameters cell is code; the reason names the cell, and the key with both values."""
    run_notebook(flow, {"ratio": 2}, instance_name="a")
    path = project.root / flow
    path.write_text(path.read_text().replace("alpha = 0.1", "alpha = 0.2").replace("'seed': 1", "'seed': 4"))
    record = run_notebook(flow, {"ratio": 2}, instance_name="a")
    assert record.reason == "code: cell 2; default: alpha 0.1 -> 0.2; default: options.seed 1 -> 4"
    assert record.results == {"alpha": 0.2, "ratio": 2, "seed": 4}


def test_a_changed_comment_keeps_the_injected_cell(project: Project, flow: str) -> None:
    """The stored notebook's text is refreshed around the injected variables."""
    run_notebook(flow, {"alpha": 0.7}, instance_name="a")
    run_notebook(flow, {}, instance_name="b")
    path = project.root / flow
    path.write_text(path.read_text().replace("learning rate", "speed of learning"))
    frame = pd.DataFrame({"instance_name": ["a"], "alpha": [0.7]})
    assert run_instances(frame, flow)["status"].tolist() == ["refreshed"]
    assert injected(project, "a") == ["# Parameters\nalpha = 0.7\n"]
    assert "speed of learning" in json.dumps(project.notebook("step", "a"))
    assert run_instances(pd.DataFrame({"instance_name": ["b"]}), flow)["status"].tolist() == ["refreshed"]
    assert injected(project, "b") == []


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("kind", ["ipynb", "py"])
def test_a_flow_without_parameters_cell_takes_nothing(project: Project, kind: str) -> None:
    """It runs with an empty config, and refuses another before anything runs, saying what to add."""
    if kind == "ipynb":
        flow = write_notebook(project, [("alpha = 0.1", []), ("print(alpha)", [])])
    else:
        project.write_flow("flow/step.py", "# %%\nalpha = 0.1\n\n# %%\nprint(alpha)\n")
        flow = "flow/step.py"
    assert run_notebook(flow, instance_name="a").status == "done"
    assert run_notebook(flow, {"instance_name": "b"}).directory.name == "b"
    assert injected(project, "a") == []
    for call in (
        lambda: run_notebook(flow, {"alpha": 0.7}),
        lambda: run_instances(pd.DataFrame({"alpha": [0.7, 0.8]}), flow),
        lambda: plan_instances(pd.DataFrame({"alpha": [0.7, 0.8]}), flow),
    ):
        with pytest.raises(ConfigError, match="has no parameters cell, so it can be given no `alpha`") as caught:
            call()
        advice = 'the tag "parameters"' if kind == "ipynb" else '# %% tags=["parameters"]'
        assert advice in str(caught.value)
    assert len(load_results("step")) == 2


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("kind", ["markdown", "second", "twice"])
def test_the_tag_counts_wherever_papermill_takes_it(project: Project, kind: str) -> None:
    """On a text cell, further down, and on several cells, of which the first counts."""
    cells: list[tuple[str, list[str]]] = [(CELL, ["parameters"] if kind != "markdown" else []), (CODE, [])]
    if kind == "second":
        cells.insert(0, ("print('first')", []))
    if kind == "twice":
        cells.insert(1, ("beta = alpha", ["parameters"]))
    flow = write_notebook(project, cells)
    if kind == "markdown":
        notebook = nbformat.read(project.root / flow, as_version=4)
        notebook.cells[0].source = "ratio = 0.5\noptions = {'seed': 1}\n"
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell("Parameters", metadata={"tags": ["parameters"]}))
        nbformat.write(notebook, project.root / flow)
    assert run_notebook(flow, {"alpha": 0.7}, instance_name="a").results == {"alpha": 0.7, "ratio": 0.5, "seed": 1}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_notebook_that_papermill_has_executed_is_a_flow(project: Project) -> None:
    """Its injected cell is replaced, as papermill replaces it, and the stored notebook can be refreshed."""
    cells = [(CELL, ["parameters"]), ("# Parameters\nalpha = 0.9", ["injected-parameters"]), (CODE, [])]
    flow = write_notebook(project, cells)
    assert run_notebook(flow, {"alpha": 0.7}, instance_name="a").results["alpha"] == 0.7
    path = project.root / flow
    path.write_text(path.read_text().replace("learning rate", "speed of learning"))
    frame = pd.DataFrame({"instance_name": ["a"], "alpha": [0.7]})
    assert run_instances(frame, flow)["status"].tolist() == ["refreshed"]
    assert injected(project, "a") == ["# Parameters\nalpha = 0.7\n"]


def test_what_an_earlier_version_gave_in_vain_runs_again(project: Project, flow: str) -> None:
    """0.1.0 put `config` into such a flow, which computed with its defaults: its records do not count."""
    record = run_notebook(flow, {"alpha": 0.7}, instance_name="a")
    forget_defaults(record.directory)
    again = run_notebook(flow, {"alpha": 0.7}, instance_name="a")
    assert again.reason == "parameters: ductaflow 0.1.0 put them into `config`, which this flow does not read"


def test_what_an_earlier_version_gave_in_config_stays(project: Project) -> None:
    """A record of 0.1.0 of a flow that reads `config` is up to date."""
    project.flow('# %%\nprint(config["a"])\n')
    record = run_notebook("flow/step.py", {"a": 0.7}, instance_name="a")
    forget_defaults(record.directory)
    assert run_notebook("flow/step.py", {"a": 0.7}, instance_name="a").skipped


def forget_defaults(directory: Path) -> None:
    """Make a record what 0.1.0 would have written."""
    path = directory / "run.json"
    record: dict[str, Any] = json.loads(path.read_text())
    del record["fingerprint"]["code"]["defaults"]
    path.write_text(json.dumps(record))

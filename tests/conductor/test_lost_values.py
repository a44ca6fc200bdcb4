"""A sweep whose values would not arrive is refused before anything runs; where that is not certain, a line says so."""

from __future__ import annotations

import pandas as pd
import pytest

from ductaflow import ConfigError, plan_instances, run_instances, run_notebook
from ductaflow_runtime.flow.analysis import analyse
from tests.conductor.test_variables import write_notebook
from tests.conftest import Project

FRAME = pd.DataFrame({"instance_name": ["a", "b"], "alpha": [0.7, 0.9]})
SAVE = "from ductaflow import save_results\nsave_results(alpha=alpha)"


@pytest.mark.engines("fork", "kernel")
@pytest.mark.parametrize("kind", ["ipynb", "py"])
def test_a_value_that_is_assigned_anew_is_refused(project: Project, kind: str) -> None:
    """The row says 0.7, a cell below says 0.2: an error names that cell, however the flow is kept and executed."""
    cells = ["alpha = 0.1", "alpha = 0.2", SAVE]
    if kind == "ipynb":
        flow = write_notebook(project, [(code, ["parameters"] if code == cells[0] else []) for code in cells])
    else:
        flow = "flow/step.py"
        project.write_flow(flow, f'# %% tags=["parameters"]\n{cells[0]}\n\n# %%\n{cells[1]}\n\n# %%\n{SAVE}\n')
    for call in (plan_instances, run_instances):
        with pytest.raises(ConfigError) as caught:
            call(FRAME, flow)
        assert caught.value.problems == (
            "all rows: cell 2 assigns `alpha` anew before anything reads it, so the value that is given does not "
            "arrive; what that cell assigns belongs into the cell with the tag `parameters`",
        )
    with pytest.raises(ConfigError, match="cell 2 assigns `alpha` anew"):
        run_notebook(flow, {"alpha": 0.7})
    assert not (project.root / "runs").exists()
    assert run_notebook(flow, {}, instance_name="a").results == {"alpha": 0.2}


def test_a_doubt_is_told_once(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What the parameters cell has computed already is one line for all rows, and for a loop of calls."""
    text = '# %% tags=["parameters"]\nalpha = 0.1\nbeta = alpha * 2\n\n# %%\n'
    project.write_flow("flow/step.py", f"{text}{SAVE}\nsave_results(beta=beta)\n")
    results = run_instances(FRAME, "flow/step.py")
    assert results["result.alpha"].tolist() == [0.7, 0.9]
    line = (
        "ductaflow: step.py: the parameters cell computes `beta` from its own `alpha`, before what is given is put in "
        "below it; compute `beta` in a cell further down"
    )
    assert [each for each in capsys.readouterr().err.splitlines() if "beta" in each] == [line]
    for alpha in (0.7, 0.9):
        run_notebook("flow/step.py", {"alpha": alpha})
    assert capsys.readouterr().err.count(line) == 1


def test_what_the_parameters_cell_imports_can_be_given(project: Project) -> None:
    """Defaults that a module of the project holds are replaced, as papermill replaces them."""
    project.write("settings.py", "alpha = 0.1\n")
    project.write_flow("flow/step.py", f'# %% tags=["parameters"]\nfrom settings import alpha\n\n# %%\n{SAVE}\n')
    assert run_instances(FRAME, "flow/step.py")["result.alpha"].tolist() == [0.7, 0.9]
    assert run_notebook("flow/step.py", {}, instance_name="c").results == {"alpha": 0.1}


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)])
def test_a_mark_on_a_text_cell_counts_by_its_place(project: Project, before: int, after: int) -> None:
    """Where the tag `parameters` stands on a text cell, moving that cell is a change of the code."""

    def write(place: int) -> None:
        cells = ["# %%\nalpha = config.get('alpha', 1) if 'config' in globals() else 0", f"# %%\n{SAVE}"]
        cells.insert(place, '# %% [markdown] tags=["parameters"]\n# Parameters')
        project.write_flow("flow/step.py", "\n\n".join(cells) + "\n")

    write(before)
    first = run_notebook("flow/step.py", {"alpha": 0.7}, instance_name="a")
    assert first.results == {"alpha": 0 if before else 0.7}
    write(after)
    again = run_notebook("flow/step.py", {"alpha": 0.7}, instance_name="a")
    assert again.reason is not None
    assert again.reason.startswith("code: cell ")
    assert again.results == {"alpha": 0 if after else 0.7}


def test_records_of_a_mark_above_all_code_stay(project: Project) -> None:
    """A text cell at the top changes no digest: what 0.1.0 recorded of such a flow is up to date."""
    text = "# %%\nprint(config['alpha'])\n"
    marked = project.write_flow("flow/step.py", f'# %% [markdown] tags=["parameters"]\n# Parameters\n\n{text}')
    plain = project.write_flow("flow/plain.py", text)
    assert analyse(marked).cells == analyse(plain).cells

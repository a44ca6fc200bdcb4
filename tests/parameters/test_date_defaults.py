"""A parameter whose default is a date: a config has no dates, so text arrives in its place."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

from ductaflow import run_instances, run_notebook
from tests.conftest import Project


@pytest.mark.parametrize(
    "default",
    [
        "datetime.date(2023, 6, 1)",
        "datetime.datetime.fromisoformat('2023-06-01')",
        "pd.Timestamp('2023-06-01')",
        "np.datetime64('2023-06-01')",
        "pd.to_datetime('2023-06-01')",
    ],
)
def test_text_for_a_date_is_told(project: Project, capfd: pytest.CaptureFixture[str], default: str) -> None:
    """Once for a sweep, be the row's value text or a date; the row runs."""
    imports = "import datetime\nimport numpy as np\nimport pandas as pd\n"
    project.write_flow("flow/step.py", f'# %% tags=["parameters"]\n{imports}start = {default}\n# %%\nprint(start)\n')
    for day in ("2023-07-01", pd.Timestamp("2023-07-02")):
        frame = run_instances(pd.DataFrame({"instance_name": ["a", "b"], "start": [day, day]}), "flow/step.py")
        assert frame["status"].tolist() == ["done", "done"]
        assert capfd.readouterr().err.count("`start` is text ('2023-07-") == 1


@pytest.mark.parametrize("default", ["'2023-06-01'", "datetime.timedelta(days=3)", "datetime.UTC", "None"])
def test_other_defaults_are_not(project: Project, capfd: pytest.CaptureFixture[str], default: str) -> None:
    """Text for text is right, and of what is computed nobody knows."""
    project.write_flow(
        "flow/step.py", f'# %% tags=["parameters"]\nimport datetime\nstart = {default}\n# %%\nprint(start)\n'
    )
    run_notebook("flow/step.py", {"start": datetime.date(2023, 7, 1)}, instance_name="a")
    assert "its default is a date" not in capfd.readouterr().err


def test_a_date_in_the_config_of_the_parameters_cell(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """By its dotted key; one that the row leaves alone is not told."""
    project.write_flow(
        "flow/step.py",
        '# %% tags=["parameters"]\nfrom datetime import date\n'
        'config = {"plan": {"start": date(2023, 6, 1), "end": date(2024, 6, 1)}}\n'
        '# %%\nprint(config["plan"]["start"], config["plan"].get("end"))\n',
    )
    run_instances(pd.DataFrame({"instance_name": ["a"], "plan.start": ["2023-07-01"]}), "flow/step.py")
    told = capfd.readouterr().err
    assert "`plan.start` is text" in told
    assert "plan.end" not in told

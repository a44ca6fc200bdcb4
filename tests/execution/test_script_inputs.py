"""The record of a script tells of the text that ran and of what it read, above its CLI cell too."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd

from ductaflow import plan_instances
from tests.conftest import HEAD, Project


def script(project: Project, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a flow of that text as a script with an output folder."""
    project.write("config/base.json", "{}")
    project.write("flow/step.py", text)
    command = [sys.executable, "flow/step.py", *(arguments or ["--output-dir", "runs/step/a"])]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


EDITS_ITSELF = """# %%
from pathlib import Path

text = Path(__file__).read_text()
Path(__file__).write_text(text.replace("RATE = 1", "RATE = 2"))

"""
RATE = """
# %%
from ductaflow import save_results

RATE = 1
save_results(rate=RATE)
"""


def test_a_script_that_is_edited_before_its_cli_cell_ends(project: Project) -> None:
    """Python runs the old text: a record of it would call the new one up to date. Nothing is made; again, it runs."""
    ended = script(project, EDITS_ITSELF + HEAD + RATE)
    assert ended.returncode == 2
    assert f"{project.root / 'flow/step.py'} was edited after Python had read it" in ended.stderr
    assert "start it again" in ended.stderr
    assert not (project.root / "runs/step/a").exists()
    assert script(project, HEAD + RATE.replace("= 1", "= 2")).returncode == 0
    assert project.record("step", "a")["results"] == {"rate": 2}


def test_a_script_that_is_edited_below_its_cli_cell_is_out_of_date(project: Project) -> None:
    """The record has the text that ran, so the conductor sees the change."""
    assert script(project, HEAD + EDITS_ITSELF + RATE).returncode == 0
    assert project.record("step", "a")["results"] == {"rate": 1}
    (reason,) = plan_instances(pd.DataFrame({"instance_name": ["a"]}), "flow/step.py")["reason"]
    assert reason == "code: cell 3, cell 4"


def test_without_a_record_a_script_runs_as_python_has_read_it(project: Project) -> None:
    """There is nothing that could be called up to date."""
    assert "result rate = 1" in script(project, EDITS_ITSELF + HEAD + RATE, "--config", "config/base.json").stdout

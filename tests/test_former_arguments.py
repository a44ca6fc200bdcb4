"""Calls as the earlier ductaflow and papermill took them: the error names today's argument."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
import pytest

import ductaflow
from tests.conftest import Project

FRAME = pd.DataFrame({"n": [1]})
RENAMED = [
    ("run_notebook", {"notebook_path": "flow/step.py", "config": {}}, "notebook_path; today it is notebook_file"),
    ("run_notebook", {"notebook_file": "flow/step.py", "flow_name": "x"}, "flow_name; today it is step_name"),
    ("run_notebook", {"input_path": "flow/step.py"}, "input_path; today it is notebook_file"),
    ("run_notebook", {"notebook_file": "flow/step.py", "parameters": {}}, "parameters; today it is config"),
    ("run_notebook", {"notebook_file": "flow/step.py", "output_suffix": "_executed"}, "output_suffix; the executed"),
    ("run_notebook", {"notebook_file": "flow/step.py", "execution_dir": "runs/a/b"}, "execution_dir; step_name and"),
    ("run_step_flow", {"notebook_path": "flow/step.py"}, "notebook_path; today it is notebook_file"),
    ("run_step_flow", {"notebook_file": "flow/step.py", "suffix": "_2"}, "suffix; write it into instance_name"),
    ("run_instances", {"control_df": FRAME, "notebook_path": "flow/step.py"}, "notebook_path; today it is"),
    ("plan_instances", {"control_df": FRAME, "flow_name": "x"}, "flow_name; today it is step_name"),
    ("load_cli_config", {"default_config_path": "config/a.json"}, "default_config_path; today it is default_config"),
    ("display_config_summary", {"config": {}, "flow_name": "My flow"}, "flow_name; today it is title"),
]


@pytest.mark.parametrize(("function", "given", "told"), RENAMED, ids=[told.split(";")[0] for *_, told in RENAMED])
def test_a_former_argument_is_told_todays(project: Project, function: str, given: dict[str, Any], told: str) -> None:
    """An argument of another tool's call is an error that names the function, the argument, and what to write."""
    project.flow("# %%\nprint(1)\n")
    with pytest.raises(TypeError) as caught:
        getattr(ductaflow, function)(**given)
    assert str(caught.value).startswith(f"{function} has no argument {told}")
    assert not (project.root / "runs").exists()


def test_what_never_was_an_argument_is_pythons_own_error() -> None:
    """A name that nobody ever took gets Python's message."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'flavour'"):
        ductaflow.run_notebook("flow/step.py", flavour=1)  # type: ignore[call-arg]


def test_a_parameter_is_taken_where_it_belongs() -> None:
    """A function that has an argument of such a name keeps it, and each shows its true signature."""
    assert "step_name" in inspect.signature(ductaflow.run_step_flow).parameters
    assert list(inspect.signature(ductaflow.load_cli_config).parameters) == ["default_config", "description"]

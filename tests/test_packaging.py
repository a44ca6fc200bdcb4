"""What is installed is what the repository means to install, and its modules keep to their places."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import ductaflow

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "ductaflow_runtime"
MODULES = sorted(path for path in RUNTIME.rglob("*.py") if path.name != "__init__.py")
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The names that users import. A change here is a change for every project out there.
PUBLIC = [
    "ConfigError",
    "DuctaflowError",
    "FlowError",
    "FlowFileError",
    "InstanceBusyError",
    "InstancesFailed",
    "MissingExtraError",
    "ProjectError",
    "RecordError",
    "WorkerError",
    "display_config_summary",
    "instance_path",
    "is_notebook_execution",
    "load_cli_config",
    "load_cli_parameters",
    "load_results",
    "plan_instances",
    "project_path",
    "run_instances",
    "run_notebook",
    "run_step_flow",
    "save_results",
]


def test_public_names_are_the_documented_ones() -> None:
    """`__all__` is the agreed list, sorted, and every name in it is there."""
    assert ductaflow.__all__ == PUBLIC == sorted(PUBLIC)
    assert [name for name in PUBLIC if getattr(ductaflow, name, None) is None] == []
    assert set(PUBLIC) <= set(dir(ductaflow))


def test_type_checkers_see_the_names_that_python_sees() -> None:
    """The imports for type checkers name each public name, from the module that it comes from."""
    tree = ast.parse((ROOT / "ductaflow.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert shown == {name: f"ductaflow_runtime.{home}" for name, home in ductaflow._HOMES.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="run_instance"):
        _ = ductaflow.run_instance


HEAVY = {"pandas", "numpy", "papermill", "jupytext", "IPython", "nbformat", "nbclient", "ipykernel", "nbconvert"}


@pytest.mark.parametrize("statement", ["import ductaflow", f"from ductaflow import {', '.join(PUBLIC)}"])
def test_the_import_loads_nothing_heavy(statement: str) -> None:
    """Neither the module nor the names in it import a package that takes long to import, before it is used."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_the_version_is_in_one_place() -> None:
    """The version of pyproject.toml is the installed one and the changelog's newest, and stands nowhere else."""
    declared = DECLARED["version"]
    assert ductaflow.__version__ == version("ductaflow") == declared
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == declared
    for path in [ROOT / "ductaflow.py", ROOT / "copier.yml", *MODULES]:
        assert not re.search(r"__version__ *= ['\"]", path.read_text(encoding="utf-8")), path
        assert f'"{declared}"' not in path.read_text(encoding="utf-8"), path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel, built offline."""
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.Path(built)


def test_the_wheel_holds_the_runtime_and_nothing_else(wheel: zipfile.Path) -> None:
    """All modules, the type marker and the page's assets are in the wheel; tests and template are not."""
    names = set(wheel.root.namelist())
    assert {"ductaflow.py", "ductaflow_runtime/py.typed"} <= names
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in RUNTIME.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= names
    info = f"ductaflow-{DECLARED['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"ductaflow.py", "ductaflow_runtime", info}


def test_the_wheel_carries_command_engine_and_licence(wheel: zipfile.Path) -> None:
    """The `ductaflow` command, the papermill engine, the extras and the licence are declared in the wheel."""
    info = wheel / f"ductaflow-{DECLARED['version']}.dist-info"
    points = (info / "entry_points.txt").read_text(encoding="utf-8")
    assert "ductaflow = ductaflow_runtime.cli:main" in points
    assert "[papermill.engine]" in points
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert "License-Expression: MIT" in metadata
    for extra in ("html", "dask", "dev"):
        assert f"Provides-Extra: {extra}" in metadata

"""Tiny projects for the tests: a folder with a pyproject.toml and a flow or two."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.once import common_folder, once

if TYPE_CHECKING:
    from tests.staleness.sample import Sample

HEAD = """\
# %% tags=["parameters"]
config = {}

# %% CLI Mode - Same file works as notebook AND script
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/base.json", "A test")

"""

# A flow that names a kernel of its own is executed on it.
KERNEL = "tests-python"
KERNEL_HEADER = f"""\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python of the tests
#     language: python
#     name: {KERNEL}
# ---

"""


# A run is repeatable: the same examples each time, on a machine of any speed. Others: `--hypothesis-profile=search`.
_ANY = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("repeatable", derandomize=True, max_examples=60, **_ANY)
settings.register_profile("search", derandomize=False, max_examples=2000, **_ANY)
settings.load_profile("repeatable")


class Project:
    """A project folder to fill."""

    def __init__(self, root: Path, engine: str = "fork") -> None:
        self.root = root
        self.engine = engine
        self.settings()

    def settings(self, **values: Any) -> None:
        """Write pyproject.toml with these `[tool.ductaflow]` settings."""
        engine = "spawn" if self.engine == "spawn" else "fork"
        lines = [f"{name} = {json.dumps(value)}" for name, value in {"engine": engine, **values}.items()]
        table = "\n".join(["[project]", 'name = "tiny"', "", "[tool.ductaflow]", *lines, ""])
        (self.root / "pyproject.toml").write_text(table, encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        """Write a file, folders and all."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def flow(self, body: str, name: str = "flow/step.py") -> Path:
        """Write a flow: the head that every flow has, then `body`."""
        return self.write_flow(name, HEAD + textwrap.dedent(body))

    def write_flow(self, name: str, text: str) -> Path:
        """Write a flow's whole text, made to run on the project's engine."""
        return self.write(name, (KERNEL_HEADER if self.engine == "kernel" else "") + text)

    def record(self, step: str, name: str) -> dict[str, Any]:
        """The content of an instance's run.json."""
        return json.loads((self.root / "runs" / step / name / "run.json").read_text(encoding="utf-8"))

    def notebook(self, step: str, name: str) -> dict[str, Any]:
        """The content of an instance's notebook."""
        return json.loads((self.root / "runs" / step / name / f"{step}.ipynb").read_text(encoding="utf-8"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-golden` writes the stored outputs anew instead of comparing with them."""
    parser.addoption("--write-golden", action="store_true", help="write the stored outputs in tests/conductor/golden/")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Workers stay warm between tests: pytest's note of the current test would give each fixture new ones."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """As for a fixture, for pytest notes every phase of a test."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    return (yield)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each of the engines that it is marked with; without a mark, on `fork`."""
    mark = metafunc.definition.get_closest_marker("engines")
    if mark is not None:
        engines = [pytest.param(name, marks=() if name == "fork" else pytest.mark.slow) for name in mark.args]
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """How the instances of a test's project are executed."""
    return str(getattr(request, "param", "fork"))


@pytest.fixture(scope="session")
def built_on(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A project with a chain of steps, every one executed once on an engine; nobody writes there."""
    from tests.staleness.sample import Sample

    def built_on(engine: str) -> Path:
        def build(root: Path) -> None:
            sample = Sample(root, engine)
            sample.fill()
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(root)
                sample.run_all()

        return once(common_folder(tmp_path_factory) / f"built-{engine}", build)

    return built_on


@pytest.fixture
def sample(built_on: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> Sample:
    """A copy of the built project that is the working directory."""
    from tests.staleness.sample import copy_of

    copy = copy_of(built_on(engine), tmp_path / "project", engine)
    monkeypatch.chdir(copy.root)
    return copy


@pytest.fixture(scope="session", autouse=True)
def kernel_of_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Jupyter kernels of the tests alone: one with a name of its own, this Python behind it, and bash."""
    folder = tmp_path_factory.mktemp("jupyter")
    told = {
        KERNEL: ("ipykernel_launcher", "Python of the tests", "python"),
        "bash": ("bash_kernel", "Bash", "bash"),
    }
    for name, (module, shown, language) in told.items():
        spec = folder / "kernels" / name / "kernel.json"
        spec.parent.mkdir(parents=True)
        command = [sys.executable, "-m", module, "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": command, "display_name": shown, "language": language}))
    os.environ["JUPYTER_PATH"] = str(folder)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> Project:
    """An empty project that is the working directory."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root, engine)


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Projects that outlive one test."""

    def make(name: str) -> Project:
        return Project(tmp_path_factory.mktemp(name))

    return make

"""The project: the state of its git repository, as records hold it, and settings that cannot be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import ProjectError, plan_instances
from ductaflow_runtime.project import Project, find_root

WHO = ("-c", "user.name=x", "-c", "user.email=x@example.org")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *WHO, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clean repository with a flow, that ignores `*.tmp`."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow/step.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("*.tmp\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    return tmp_path


def new(name: str) -> Callable[[Path], object]:
    def make(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("2\n")

    return make


@pytest.mark.parametrize(
    ("change", "dirty"),
    [
        (lambda root: None, False),
        (new("flow/step.py"), True),
        (lambda root: (root / "flow/step.py").unlink(), True),
        (new("flow/other.py"), True),
        (new("data/deep/links.csv"), True),
        (new("config/über.json"), True),
        (new("flow/x.tmp"), False),
        (new("runs/step/a/run.json"), False),
        (new("runs/.ductaflow/control/step.json"), False),
        (new("runs2/a.csv"), True),
        (new("flow/__pycache__/step.pyc"), False),
        (new("lib/__pycache__/costs.pyc"), False),
    ],
)
def test_what_makes_a_project_dirty(repository: Path, change: Callable[[Path], object], dirty: bool) -> None:
    """Changed, deleted and unknown files do; ignored ones, results and compiled modules do not."""
    change(repository)
    assert Project.at(repository).git_state() == {
        "git_commit": git(repository, "rev-parse", "HEAD"),
        "git_dirty": dirty,
    }


@pytest.mark.parametrize("folder", ["out", "out/[runs] *", "../elsewhere", "."])
def test_results_elsewhere(repository: Path, folder: str) -> None:
    """The folder of results does not count wherever it is, and however it is called."""
    runs_dir = (repository / folder).resolve()
    if folder != ".":
        new("a/run.json")(runs_dir)
    assert Project.at(repository, runs_dir).git_state()["git_dirty"] is False
    new("flow/other.py")(repository)
    assert Project.at(repository, runs_dir).git_state()["git_dirty"] is True


def test_the_setting_says_where_results_are(repository: Path) -> None:
    """Without being told, the project's own setting counts."""
    (repository / "pyproject.toml").write_text('[tool.ductaflow]\nruns_dir = "results"\n')
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "more")
    new("results/a/run.json")(repository)
    assert Project.at(repository).git_state()["git_dirty"] is False


def test_a_project_in_a_larger_repository(repository: Path) -> None:
    """What lies beside the project is not the project's."""
    new("project/flow/step.py")(repository)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "more")
    new("beside.txt")(repository)
    assert Project.at(repository / "project").git_state()["git_dirty"] is False
    new("project/runs/a/run.json")(repository)
    assert Project.at(repository / "project").git_state()["git_dirty"] is False
    new("project/data.csv")(repository)
    assert Project.at(repository / "project").git_state()["git_dirty"] is True


def test_without_git(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository, no commit yet, no git: nothing fails."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    unknown = {"git_commit": None, "git_dirty": None}
    assert Project.at(outside).git_state() == unknown
    git(outside, "init", "--quiet")
    assert Project.at(outside).git_state() == {"git_commit": None, "git_dirty": False}
    monkeypatch.setenv("PATH", "")
    assert Project.at(repository).git_state() == unknown


CONFLICT = """\
[tool.ductaflow]
workers = 1

[tool.ruff]
<<<<<<< before updating
line-length = 120
=======
line-length = 100
>>>>>>> after updating
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(CONFLICT, r"pyproject\.toml, line 5: an update or a merge left a conflict here\. ", id="conflict"),
        pytest.param("[tool.ductaflow\n", r"pyproject\.toml cannot be read: .*line 1", id="not TOML"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    """The message says which line is wrong, and what an update has to do with it."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    (tmp_path / "step.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=said):
        plan_instances(pd.DataFrame({"instance_name": ["a"]}), "step.py")


def test_where_a_command_is_installed_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a project, the project that the environment lies in is not taken for it; a script's own is."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/pyproject.toml").touch()
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "plain")
    script = tmp_path / "other/env/bin/ductaflow"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    assert find_root() == tmp_path / "other"
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(script.parent))
    assert find_root() == tmp_path / "plain"

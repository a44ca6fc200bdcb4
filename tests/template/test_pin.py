"""The generated project depends on the runtime at the version and the source that it was made from."""

import os
import shutil
import subprocess
import sys
import tomllib

import copier
import pytest
from plumbum import local

from .helpers import FIRST_TAG, ROOT, commit_all, git


def pinned(project):
    """The dependencies of a generated project, the pin first."""
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["dependencies"]


def test_pin_is_the_tag_and_folder_of_a_local_template(released, generate):
    """A project made from a local checkout depends on the runtime at that tag of that checkout."""
    expected = f"ductaflow @ git+file://localhost{released.as_posix()}@{FIRST_TAG}"
    assert pinned(generate(released))[0] == expected


@pytest.mark.parametrize(
    ("given", "cloned", "required"),
    [
        (
            "https://git.example.invalid/team/ductaflow.git",
            "https://git.example.invalid/team/ductaflow.git",
            "git+https://git.example.invalid/team/ductaflow.git",
        ),
        (
            "git+https://git.example.invalid/team/ductaflow",
            "https://git.example.invalid/team/ductaflow",
            "git+https://git.example.invalid/team/ductaflow",
        ),
        (
            "git@git.example.invalid:team/ductaflow.git",
            "git@git.example.invalid:team/ductaflow.git",
            "git+ssh://git@git.example.invalid/team/ductaflow.git",
        ),
        (
            "gh:team/ductaflow",
            "https://github.com/team/ductaflow.git",
            "git+https://github.com/team/ductaflow.git",
        ),
        (
            "gl:team/ductaflow.git",
            "https://gitlab.com/team/ductaflow.git",
            "git+https://gitlab.com/team/ductaflow.git",
        ),
    ],
)
def test_pin_of_a_git_address_is_what_pip_takes(released, generate, given, cloned, required):
    """Each form of address that copier takes becomes a requirement on the same repository."""
    instead = {"KEY_0": f"url.{released.as_uri()}.insteadOf", "VALUE_0": cloned, "COUNT": "1"}
    with local.env(**{f"GIT_CONFIG_{name}": value for name, value in instead.items()}):
        project = generate(given)  # git clones the local repository in place of the remote one
    assert pinned(project)[0] == f"ductaflow @ {required}@{FIRST_TAG}"


def test_pin_past_a_tag_is_the_hash_of_the_commit(template, tmp_path):
    """A project made from commits after a tag depends on exactly that commit."""
    (template / "later.txt").write_text("x", encoding="utf-8")
    commit_all(template)
    project = tmp_path / "project"
    copier.run_copy(str(template), project, defaults=True, quiet=True, vcs_ref="HEAD")
    version = pinned(project)[0].rpartition("@")[2]
    assert git(template, "rev-parse", version) == git(template, "rev-parse", "HEAD")
    assert set(version) <= set("0123456789abcdef")


def test_pin_of_a_template_without_git_is_its_folder(released, generate, tmp_path):
    """A project made from an unpacked folder depends on the runtime in that folder."""
    unpacked = shutil.copytree(released, tmp_path / "un packed", ignore=shutil.ignore_patterns(".git"))
    expected = f"ductaflow @ file://localhost{tmp_path.as_posix()}/un%20packed"
    assert pinned(generate(unpacked))[0] == expected


def pip_install(target, *requirements):
    """Install into a folder, with nothing but what is already on this machine."""
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    return subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", target, *requirements],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )


@pytest.mark.slow
def test_pin_installs_the_runtime_from_a_local_checkout(released, generate, tmp_path):
    """pip installs the pinned runtime from a local repository, whose folder may have a space in its name."""
    repository = shutil.copytree(released, tmp_path / "my checkouts" / "ductaflow")
    for name in ("pyproject.toml", "README.md", "LICENSE", "ductaflow.py", "ductaflow.pyi"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, repository)
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "ductaflow_runtime", repository / "ductaflow_runtime", ignore=ignore)
    commit_all(repository, tag="v0.2.0")
    done = pip_install(tmp_path / "installed", pinned(generate(repository))[0])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed" / "ductaflow_runtime" / "__init__.py").is_file()
    assert (tmp_path / "installed" / "ductaflow.py").is_file()


@pytest.mark.slow
def test_project_with_folders_of_its_own_installs_and_stays_clean(released, generate, tmp_path):
    """`pip install` of the project takes no folder for a package, and leaves nothing behind."""
    project = generate(released)
    for name in ("lib/costs.py", "scenarios/a.py", "other/b.py"):
        (project / name).parent.mkdir()
        (project / name).write_text("X = 1\n", encoding="utf-8")
    commit_all(project)
    done = pip_install(tmp_path / "installed", str(project))
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (tmp_path / "installed").iterdir()] == [".dist-info"]
    assert git(project, "status", "--porcelain", "--ignored") == ""

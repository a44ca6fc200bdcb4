"""Temporary template repositories with tags, and projects generated from them."""

import functools
import os
import shutil

import copier
import pytest
from plumbum import local

from .helpers import FIRST_TAG, ROOT, commit_all, isolation


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """One for all tests, for workers stay warm only as long as no environment variable changes."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch):
    """Git and copier see none of the settings of the person who runs the tests."""
    env = isolation(home)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with local.env(**env):  # copier runs git through plumbum, which keeps an environment of its own
        yield


@pytest.fixture(scope="session")
def released(home, tmp_path_factory):
    """A repository with the template of the working tree, committed and tagged. Tests only read it."""
    repository = tmp_path_factory.mktemp("released") / "ductaflow"
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "template", repository / "template", ignore=ignore)
    shutil.copy(ROOT / "copier.yml", repository)
    commit_all(repository, "Template", tag=FIRST_TAG, env={**os.environ, **isolation(home)})
    return repository


@pytest.fixture(scope="session")
def asking(tmp_path_factory):
    """A folder with the template's questions, from which a project is nothing but its answers. Tests only read it."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "template").mkdir()
    for name in ("copier.yml", "template/{{ _copier_conf.answers_file }}.jinja"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def fresh(released, tmp_path_factory):
    """A function that gives the fresh project of an example, all answers at their defaults. Tests only read it."""

    @functools.cache
    def fresh(example):
        project = tmp_path_factory.mktemp("fresh") / example
        copier.run_copy(str(released), project, data={"example": example}, defaults=True, quiet=True)
        return project

    return fresh


@pytest.fixture
def project_of(fresh, tmp_path):
    """A function that gives a project of an example, all answers at their defaults, which a test may change."""
    return lambda example: shutil.copytree(fresh(example), tmp_path / "project")


@pytest.fixture
def template(released, tmp_path):
    """A copy of the template repository that a test may change."""
    return shutil.copytree(released, tmp_path / "ductaflow")


@pytest.fixture
def generate(tmp_path):
    """A function that makes a project from a template: given answers, the others at their defaults."""

    def generate(source, folder="project", **answers):
        project = tmp_path / folder
        copier.run_copy(str(source), project, data=answers, defaults=True, quiet=True)
        return project

    return generate

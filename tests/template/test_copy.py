"""What a fresh project consists of."""

import ast
import json
import tomllib

import copier
import pytest
import yaml

from .helpers import ROOT, commit_all, git, run_python, tree

FRAMEWORK = {
    ".copier-answers.yml",
    ".gitignore",
    "jupytext.toml",
    "pyproject.toml",
    "runs/.gitkeep",
    "tests/test_flows.py",
}
EVERY_EXAMPLE = {"README.md", "conductor.py", "pure_conductor.py"}
EDITOR = {".vscode/extensions.json", ".vscode/launch.json", ".vscode/settings.json"}
EXAMPLES = {
    "traffic": {
        "config/assign_traffic.json",
        "config/compare_networks.json",
        "config/smoke_test.json",
        "data/networks/braess_base/demand.csv",
        "data/networks/braess_base/links.csv",
        "data/networks/braess_shortcut/demand.csv",
        "data/networks/braess_shortcut/links.csv",
        "flow/assign_traffic.py",
        "flow/compare_networks.py",
        "src/__init__.py",
        "src/equilibrium.py",
        "src/network.py",
    },
    "minimal": {"config/my_analysis.json", "data/.gitkeep", "flow/my_analysis.py"},
}


@pytest.fixture(params=EXAMPLES)
def example(request):
    """Each example in turn."""
    return request.param


@pytest.mark.parametrize("editor_files", [True, False])
@pytest.mark.parametrize("html_reports", [True, False])
def test_project_holds_exactly_the_files_of_its_answers(released, generate, example, editor_files, html_reports):
    """A fresh project holds the files that its answers ask for, and no others."""
    project = generate(released, example=example, editor_files=editor_files, html_reports=html_reports)
    assert tree(project) == FRAMEWORK | EVERY_EXAMPLE | EXAMPLES[example] | (EDITOR if editor_files else set())


def test_nothing_of_the_template_language_is_left_over(released, generate, example):
    """No generated file shows a trace of Jinja."""
    project = generate(released, example=example, html_reports=True)
    for name in tree(project):
        text = (project / name).read_text(encoding="utf-8")
        assert not [mark for mark in ("{{", "}}", "{%", "%}", "{#", "#}") if mark in text], name
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), name


def test_generated_code_is_formatted_and_passes_the_projects_own_lint_rules(fresh, example):
    """`ruff format` changes nothing in a fresh project and `ruff check` has no complaint."""
    project = fresh(example)
    for command in (["format", "--check"], ["check"]):
        done = run_python(project, "-m", "ruff", *command, "--no-cache", ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_generated_json_toml_and_yaml_file_parses(fresh, example):
    """Settings and configs are strict JSON, TOML and YAML."""
    project = fresh(example)
    for path in (project / name for name in tree(project)):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)
        elif path.suffix == ".yml":
            yaml.safe_load(text)
        elif path.suffix == ".py":
            ast.parse(text)


def test_awkward_but_allowed_answers_give_a_valid_project(released, generate):
    """Apostrophes, umlauts, hashes, brackets and markup in a name arrive as typed."""
    name, person = "L'étude <№1> #2 & 'co' [x] 100%", "Zoë O'Neill, 日本"
    project = generate(released, project_name=name, project_slug="etude", description=name, author=person)
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["name"] == "etude"
    assert metadata["description"] == name
    assert metadata["authors"] == [{"name": person}]
    assert (project / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n\n{name}\n")
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (answers["project_name"], answers["author"]) == (name, person)


def test_template_needs_no_trust(fresh):
    """The template has nothing that copier would ask `--trust` for."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & set(settings)
    assert (fresh("traffic") / "conductor.py").is_file()  # copied without unsafe=True


def test_flows_have_the_four_cells_in_order(fresh, example):
    """Each flow begins with its parameters cell, the CLI cell naming its own config, and the display."""
    project = fresh(example)
    for flow in (project / "flow").glob("*.py"):
        text = flow.read_text(encoding="utf-8")
        places = [
            text.index('# %% tags=["parameters"]\n'),
            text.index("\nconfig = {}\n"),
            text.index("from ductaflow import is_notebook_execution, load_cli_config\n"),
            text.index("if not is_notebook_execution():\n"),
            text.index(f'config = load_cli_config("config/{flow.stem}.json", '),
            text.index("display_config_summary(config, "),
        ]
        assert places == sorted(places), flow.name


def test_html_answer_sets_the_extra_and_the_default(released, generate):
    """Asking for HTML pages installs what they need and switches them on."""
    for asked in (True, False):
        project = generate(released, folder=f"html_{asked}", html_reports=asked)
        settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        assert settings["project"]["dependencies"][0].startswith("ductaflow[html] @ ") is asked
        assert settings["tool"]["ductaflow"] == {"export_html": asked}


def test_python_version_is_the_oldest_one_allowed(released, generate):
    """The chosen Python version bounds the project and is what the linter checks for."""
    project = generate(released, python_version="3.12")
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["requires-python"] == ">=3.12"
    assert settings["tool"]["ruff"]["target-version"] == "py312"


def test_second_copy_leaves_the_analysts_files_alone(released, generate):
    """A second `copier copy` into the same folder changes none of the analyst's files."""
    project = generate(released)
    for name in ("flow/assign_traffic.py", "config/assign_traffic.json", "conductor.py", "README.md"):
        (project / name).write_text("mine\n", encoding="utf-8")
    before = {name: (project / name).read_bytes() for name in tree(project)}
    copier.run_copy(str(released), project, defaults=True, overwrite=True, quiet=True)
    assert {name: (project / name).read_bytes() for name in tree(project)} == before


def test_results_and_caches_never_make_the_project_dirty(released, generate):
    """Git ignores results, caches and what a flow writes when its cells are run by hand."""
    project = generate(released)
    commit_all(project)
    for name in (
        "runs/assign_traffic/a/run.json",
        "runs/.ductaflow/index",
        "runs/braess_paradox.png",
        "flow/__pycache__/x.cpython-311.pyc",
        "flow/flows.csv",
        "flows.csv",
        ".venv/pyvenv.cfg",
        ".ipynb_checkpoints/conductor.ipynb",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x", encoding="utf-8")
    assert git(project, "status", "--porcelain") == ""
    (project / "data" / "new.csv").write_text("x", encoding="utf-8")
    assert git(project, "status", "--porcelain") == "?? data/new.csv\n"

"""`copier update`: the framework moves, what belongs to the analyst stays."""

import re
import shutil
import subprocess
import tomllib

import copier
import pytest
import yaml

from .helpers import ROOT, commit_all, git, run_python, tree

NEXT_TAG = "v0.2.0"
RELEASES = {"2fb0768": "v0.1.0"}
MINE = {
    "flow/assign_traffic.py": "# %% tags=['parameters']\nconfig = {}  # mine\n",
    "flow/my_own.py": "# a flow of my own\n",
    "src/network.py": "def read_network(name, demand_factor):\n    return 1  # mine\n",
    "conductors/night.py": "# another conductor of my own\n",
    "config/assign_traffic.json": '{"network": "mine"}\n',
    "data/networks/braess_base/links.csv": "from,to\r\na,b\r\n",
    "conductor.py": "# my conductor, no newline at the end",
    "README.md": "<<<<<<< my own title\n",
    "lib/costs.py": "FARE = 2\n",
}
DELETED = [
    "flow/compare_networks.py",
    "src/equilibrium.py",
    "config/compare_networks.json",
    "data/networks/braess_shortcut/links.csv",
    "data/networks/braess_shortcut/demand.csv",
    "pure_conductor.py",
    "jupytext.toml",
    ".vscode/extensions.json",
]


def has_history():
    """Whether the commits of the releases are here: not in a shallow clone or an unpacked archive."""
    command = ["git", "cat-file", "-e"]
    found = [subprocess.run([*command, commit], cwd=ROOT, check=False, capture_output=True) for commit in RELEASES]
    return not any(done.returncode for done in found)


def release(template, tag=NEXT_TAG):
    """Publish a version of the template in which every kind of file has changed."""
    source = template / "template"
    for path in [path for path in source.rglob("*") if path.is_file() and path.suffix != ".csv"]:
        text = path.read_text(encoding="utf-8")
        if path.name == "pyproject.toml.jinja":
            text = text.replace("line-length = 110", "line-length = 100")
        elif path.name == ".gitignore":
            text += "\n# Another cache\n.other_cache/\n"
        elif path.name == "settings.json":
            text = text.replace('"perFile"', '"single"')
        elif path.suffix in (".py", ".toml") or path.name.endswith((".py.jinja", ".md.jinja")):
            text += f"# changed in {tag}\n"
        path.write_text(text, encoding="utf-8")
    for name in ("flow/new_flow.py", "src/new_module.py", "tests/test_more.py"):
        (source / name).write_text(f"# new in {tag}\n", encoding="utf-8")
    commit_all(template, tag, tag=tag)


def update(project):
    """What `copier update --defaults` does, with no trust given."""
    copier.run_update(project, defaults=True, overwrite=True, quiet=True)


def contents(project):
    return {name: (project / name).read_bytes() for name in tree(project)}


@pytest.fixture
def edited(template, generate):
    """A project of the first version in which the analyst edited, added and deleted; all is committed."""
    project = generate(template)
    for name, text in MINE.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(text.encode())
    for name in DELETED:
        (project / name).unlink()
    commit_all(project)
    return project


def test_update_keeps_what_is_the_analysts_and_brings_what_is_the_frameworks(template, edited):
    """Edits stay byte for byte, deleted files stay deleted, changes of the framework arrive."""
    release(template)
    update(edited)
    assert {name: (edited / name).read_bytes() for name in MINE} == {name: text.encode() for name, text in MINE.items()}
    assert not [name for name in [*DELETED, "flow/new_flow.py", "src/new_module.py"] if (edited / name).exists()]
    settings = tomllib.loads((edited / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"][0].endswith(f"@{NEXT_TAG}")
    assert settings["tool"]["ruff"]["line-length"] == 100
    assert (edited / "tests/test_flows.py").read_text("utf-8").endswith(f"# changed in {NEXT_TAG}\n")
    assert (edited / "tests/test_more.py").is_file()
    assert ".other_cache/" in (edited / ".gitignore").read_text("utf-8")
    assert '"single"' in (edited / ".vscode/settings.json").read_text("utf-8")
    assert yaml.safe_load((edited / ".copier-answers.yml").read_text("utf-8"))["_commit"] == NEXT_TAG
    assert_no_conflict(edited)


def assert_no_conflict(project):
    assert git(project, "ls-files", "--unmerged") == ""
    assert not [name for name in tree(project) if name.endswith((".rej", ".orig"))]
    for name in set(tree(project)) - set(MINE):
        assert b"<<<<<<<" not in (project / name).read_bytes(), name


@pytest.mark.parametrize("example", ["traffic", "minimal"])
def test_update_moves_the_pin_beside_the_analysts_own_dependencies(template, generate, example):
    """Dependencies that were added behind the pin and at the end of the list survive the move of the pin."""
    project = generate(template, example=example)
    path = project / "pyproject.toml"
    before, behind = path.read_text(encoding="utf-8").split("add yours here:\n")
    behind = '  "geopandas>=1",\n' + behind.replace("]\n", '  "openmatrix",\n]\n', 1)
    path.write_text(f"{before}add yours here:\n{behind}", encoding="utf-8")
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert (listed[1], listed[-1]) == ("geopandas>=1", "openmatrix")
    commit_all(project)
    release(template)
    update(project)
    now = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert now == [listed[0].rpartition("@")[0] + f"@{NEXT_TAG}", *listed[1:]]
    assert_no_conflict(project)


def test_update_keeps_settings_that_the_analyst_changed(template, generate):
    """A changed setting in a file of the framework stays while the rest of the file moves on."""
    project = generate(template)
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace("# workers = 4  ", "workers = 2  ")
    path.write_text(text + '\n[tool.mine]\nx = "y"\n', encoding="utf-8")
    commit_all(project)
    release(template)
    update(project)
    settings = tomllib.loads(path.read_text(encoding="utf-8"))
    assert settings["tool"]["ductaflow"]["workers"] == 2
    assert settings["tool"]["mine"] == {"x": "y"}
    assert settings["tool"]["ruff"]["line-length"] == 100
    assert_no_conflict(project)


@pytest.mark.parametrize("example", ["traffic", "minimal"])
def test_update_of_an_untouched_project_equals_a_fresh_copy(template, generate, example):
    """But for the analyst's files, an updated project is what the new version would have made."""
    project = generate(template, example=example)
    commit_all(project)
    mine = {name: content for name, content in contents(project).items() if is_analysts(name)}
    release(template)
    update(project)
    fresh = contents(generate(template, folder="fresh", example=example))
    expected = {name: content for name, content in fresh.items() if not is_analysts(name)}
    assert contents(project) == expected | mine


def is_analysts(name):
    return name.startswith(("flow/", "src/", "config/", "data/")) or name in (
        "conductor.py",
        "pure_conductor.py",
        "README.md",
    )


def test_update_to_the_same_version_changes_nothing(template, edited):
    """Without a new version, an update leaves the project as it is."""
    update(edited)
    assert git(edited, "status", "--porcelain") == ""


def test_results_do_not_stop_an_update_and_its_message_tells_the_next_commands(template, edited, capsys):
    """Results and caches neither block an update nor are touched by it; the terminal shows how to go on."""
    result = edited / "runs" / "assign_traffic" / "a" / "run.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}", encoding="utf-8")
    (edited / "flow" / "__pycache__").mkdir()
    (edited / "flow" / "__pycache__" / "x.pyc").write_text("x", encoding="utf-8")
    release(template)
    copier.run_update(edited, defaults=True, overwrite=True)
    assert result.read_text(encoding="utf-8") == "{}"
    told = capsys.readouterr().err
    places = [told.index(command) for command in ("git diff", "pip install -e", "python conductor.py")]
    assert places == sorted(places)


def test_update_with_a_conflict_is_told_with_its_files(template, generate, capsys):
    """The command shown after an update names the files with a conflict, and ductaflow says which line to mend."""
    project = generate(template)
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("line-length = 110", "line-length = 120"), encoding="utf-8")
    commit_all(project)
    release(template)
    copier.run_update(project, defaults=True, overwrite=True)
    command = re.search(r"git (diff --name-only \S+) +\(files with a conflict", capsys.readouterr().err)[1]
    assert git(project, *command.split()) == "pyproject.toml\n"

    line = path.read_text(encoding="utf-8").splitlines().index("<<<<<<< before updating") + 1
    told = run_python(project, "conductor.py").stderr
    assert "ProjectError: " in told.splitlines()[-1]
    assert f"pyproject.toml, line {line}: an update or a merge left a conflict here." in told


def test_project_whose_template_moved_is_updated_from_there(template, generate, tmp_path):
    """With the new address in the two places that the messages name, updates come from there without a conflict."""
    project = generate(template)
    moved = shutil.copytree(template, tmp_path / "published")
    for name in (".copier-answers.yml", "pyproject.toml"):
        text = (project / name).read_text(encoding="utf-8")
        assert text.count(str(template)) == 1
        (project / name).write_text(text.replace(str(template), str(moved)), encoding="utf-8")
    commit_all(project)
    release(moved)
    update(project)
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"][0].endswith(f"{moved}@{NEXT_TAG}")
    assert_no_conflict(project)


@pytest.mark.skipif(not has_history(), reason="the history of this repository does not reach back to the releases")
@pytest.mark.parametrize("example", ["traffic", "minimal"])
@pytest.mark.parametrize("commit", RELEASES)
def test_update_from_every_release_equals_a_fresh_copy(released, generate, tmp_path, example, commit):
    """A project of an earlier release gets what belongs to the framework, and keeps all that is the analyst's."""
    source = tmp_path / "ductaflow"
    for name in git(ROOT, "ls-tree", "-r", "-z", "--name-only", commit, "template", "copier.yml").split("\0")[:-1]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(git(ROOT, "show", f"{commit}:{name}"), encoding="utf-8")
    commit_all(source, tag=RELEASES[commit])
    project = generate(source, example=example)
    for name in tree(project):
        if is_analysts(name):
            (project / name).write_bytes((project / name).read_bytes() + b"# mine\n")
    (project / "conductors").mkdir()
    (project / "conductors/night.py").write_text("# mine\n", encoding="utf-8")
    commit_all(project)
    before = {name: content for name, content in contents(project).items() if is_analysts(name)}

    shutil.rmtree(source / "template")
    shutil.copytree(released / "template", source / "template")
    shutil.copy(released / "copier.yml", source)
    commit_all(source, tag=NEXT_TAG)
    update(project)
    fresh = contents(generate(source, folder="fresh", example=example))
    expected = {name: content for name, content in fresh.items() if not is_analysts(name)}
    assert contents(project) == expected | before | {"conductors/night.py": b"# mine\n"}


def test_update_can_change_an_answer(template, generate):
    """HTML pages and editor files can be switched by a later update."""
    project = generate(template)
    commit_all(project)
    release(template)
    answers = {"html_reports": True, "editor_files": False}
    copier.run_update(project, data=answers, defaults=True, overwrite=True, quiet=True)
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["ductaflow"]["export_html"] is True
    assert not (project / ".vscode").exists()
    assert_no_conflict(project)


def test_project_moved_to_another_folder_is_updated_there(template, edited, tmp_path):
    """Nothing in a project depends on where it was made."""
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(edited, moved)
    release(template)
    update(moved)
    assert (moved / "conductor.py").read_bytes() == MINE["conductor.py"].encode()
    assert_no_conflict(moved)

"""A flow that is run as a script takes the same keys and the same kinds of config files as elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ductaflow import run_notebook
from tests.conftest import HEAD, Project

TOLL = """
# %%
print(config["toll"], config["model"]["depth"])
"""


@pytest.fixture
def toll(project: Project) -> Project:
    """A project with a flow that reads `toll` and `model.depth`, and its default config."""
    project.flow(TOLL)
    project.write("config/base.json", '{"toll": 2, "model": {"depth": 3}, "unread": 1}')
    return project


def script(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the flow as a script from the project root."""
    command = [sys.executable, "flow/step.py", *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True)


def test_a_script_refuses_a_key_that_it_does_not_read(toll: Project) -> None:
    """A misspelt key ends the script with exit code 2 and the name that was meant; nothing is made."""
    toll.write("mine.json", '{"tol": 1, "model": {"depth": 3}}')
    for arguments in (["--set", "tol=1"], ["--config", "mine.json"], ["--set", "tol=1", "--output-dir", "runs/step/a"]):
        ended = script(toll, *arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "unknown parameter `tol`; did you mean `toll`?" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (toll.root / "runs").exists()


UNREAD = "ductaflow: step.py: default config: the flow is not seen to read `unread`\n"


def test_keys_of_the_default_config_are_never_refused(toll: Project) -> None:
    """They may be set, read or not; one that nothing reads is a line."""
    assert script(toll).returncode == 0
    ended = script(toll, "--set", "unread=5", "--set", "model.depth=4")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2 4\n", UNREAD)


def test_a_script_warns_of_a_value_of_another_type(toll: Project) -> None:
    """A text for a number is one line; the script runs."""
    ended = script(toll, "--set", 'toll="two"')
    assert ended.returncode == 0
    assert ended.stderr == "ductaflow: step.py: `toll` is text ('two'), its default is a number (2)\n" + UNREAD


def test_the_project_decides_for_scripts_too(toll: Project) -> None:
    """With `unknown_keys = "warn"` the script runs, with a line."""
    toll.settings(unknown_keys="warn")
    ended = script(toll, "--set", "tol=1")
    assert ended.returncode == 0
    assert "unknown parameter `tol`" in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        'from ductaflow import load_cli_config\nmine = load_cli_config("config/base.json")\nprint(mine["extra"])\n',
        "from helper import read\nprint(read()['extra'])\n",
        "from helper import *\nmine = read()\nprint(mine['extra'])\n",
    ],
    ids=["no parameters cell", "a module asks", "everything imported"],
)
def test_a_script_that_is_no_flow_takes_what_it_reads(toll: Project, text: str) -> None:
    """Without a parameters cell, and where a module calls `load_cli_config`, nothing is refused that could be read."""
    toll.write("flow/helper.py", HELPER)
    toll.write("flow/step.py", text)
    ended = script(toll, "--set", "extra=5")
    assert (ended.returncode, ended.stdout) == (0, "5\n"), ended.stderr


HELPER = """\
from ductaflow import load_cli_config


def read():
    return load_cli_config("config/base.json")
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.yaml", "toll: 7\nmodel:\n  depth: 1\n"),
        ("mine.yml", "toll: 7\nmodel: {depth: 1}\n"),
        ("mine.toml", "toll = 7\n[model]\ndepth = 1\n"),
        ("mine.conf", '{"toll": 7, "model": {"depth": 1}}'),
    ],
)
def test_a_script_reads_config_files_by_their_ending(toll: Project, name: str, text: str) -> None:
    """Given with --config, or named as the default; the record and the conductor see the same config."""
    toll.write(name, text)
    assert script(toll, "--config", name, "--output-dir", "runs/step/a").stdout == "7 1\n"
    assert json.loads((toll.root / "runs/step/a/config.json").read_text()) == {"toll": 7, "model": {"depth": 1}}
    assert run_notebook("flow/step.py", {"toll": 7, "model": {"depth": 1}}, instance_name="a").skipped
    toll.write_flow("flow/step.py", (HEAD + TOLL).replace("config/base.json", name))
    assert script(toll).stdout == "7 1\n"

"""Comments in the project's modules: a module counts by its syntax tree, unless somebody asks for its text."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import run_instances
from ductaflow_runtime.cli.main import main
from tests.conftest import Project
from tests.staleness.test_tracking import plan, run

MODULE = '''\
"""What it costs."""
# per kilometre
RATE = 2


def cost(length):
    """In euros."""
    return length * RATE  # rounded nowhere
'''
FLOW = """
import ductaflow
from lib.costs import cost
{}
ductaflow.save_results(cost=cost(1))
"""
WAYS_TO_ASK = {
    "inspect": "import inspect\ninspect.getsource(cost)",
    "open": "import lib.costs\nopen(lib.costs.__file__).read()",
    "resources": "import importlib.resources\n(importlib.resources.files('lib') / 'costs.py').read_text()",
    "loader": "import lib.costs\nlib.costs.__spec__.loader.get_source('lib.costs')",
    "linecache": "import lib.costs, linecache\nlinecache.getline(lib.costs.__file__, 1)",
    "run_path": "import lib.costs, runpy\nrunpy.run_path(lib.costs.__file__)",
    "warning-before": (
        "import inspect, warnings, lib.costs\n"
        "warnings.warn_explicit('dear', UserWarning, lib.costs.__file__, 3)\ninspect.getsource(cost)"
    ),
}


@pytest.fixture
def ran(project: Project) -> Project:
    """A project whose flow has run once with a module."""
    project.write("lib/__init__.py", "")
    (project.root / "lib/costs.py").write_text(MODULE)
    project.flow(FLOW.format(""))
    run()
    assert plan() is None
    return project


def edit(project: Project, old: str, new: str) -> None:
    """Replace text in the module, which must hold it."""
    path = project.root / "lib/costs.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("# per kilometre", "# for each kilometre", id="comment"),
        pytest.param("  # rounded nowhere", "", id="comment-removed"),
        pytest.param("RATE = 2\n", "\n\nRATE  =  2\n\n", id="blank-lines-and-spacing"),
        pytest.param('"""In euros."""', "'''In euros.'''", id="quotes"),
        pytest.param("return length * RATE", "return (length\n            * RATE)", id="line-break"),
    ],
)
def test_what_cannot_change_a_result(ran: Project, old: str, new: str) -> None:
    """Comments and layout of a module execute nothing; what is edited next is still seen."""
    edit(ran, old, new)
    assert plan() is None
    assert run()["status"] == "up to date"
    edit(ran, "def cost(length", "FACTOR = 3\n\n\ndef cost(length")
    assert plan() == "module: lib/costs.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("RATE = 2", "RATE = 3", id="value-of-the-same-size"),
        pytest.param("RATE = 2", "RATE = 2.0", id="type-of-a-value"),
        pytest.param('"""In euros."""', '"""In dollars."""', id="docstring"),
        pytest.param("    return length", "    pass\n    return length", id="statement-without-effect"),
        pytest.param("RATE = 2", "RATE = = 2", id="no-Python-any-more"),
    ],
)
def test_what_may_change_a_result(ran: Project, old: str, new: str) -> None:
    """All else of a module counts; docstrings do, for code can read them."""
    edit(ran, old, new)
    assert plan() == "module: lib/costs.py"


def test_a_comment_that_means_something(ran: Project) -> None:
    """Another encoding gives other texts, although only a comment was edited."""
    path = ran.root / "lib/costs.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + MODULE.encode())
    run()
    assert plan() is None
    path.write_bytes(path.read_bytes().replace(b"latin-1", b"cp1251"))
    assert plan() == "module: lib/costs.py"


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in WAYS_TO_ASK.items()])
def test_code_that_reads_its_own_text(ran: Project, code: str) -> None:
    """A module whose text is read while the flow runs counts by every character, in whatever way it is read."""
    ran.flow(FLOW.format(code))
    run()
    assert plan() is None
    edit(ran, "# per kilometre", "# for each kilometre")
    assert plan() == "module: lib/costs.py"


def test_a_script_counts_alike(project: Project) -> None:
    """So it is for what a script imports above its CLI cell, and for what it has read there."""
    project.write("lib/__init__.py", "")
    (project.root / "lib/costs.py").write_text(MODULE)
    project.write("config/base.json", "{}")
    text = project.flow(FLOW.format("")).read_text()
    asks = "import inspect\nfrom lib.costs import cost\ninspect.getsource(cost)\n"
    for early, reason in (("from lib.costs import cost\n", None), (asks, "module: lib/costs.py")):
        project.write("flow/step.py", early + text)
        environment = {**os.environ, "PYTHONPATH": str(project.root)}
        command = [sys.executable, "flow/step.py", "--output-dir", "runs/step/one"]
        subprocess.run(command, env=environment, check=True)
        assert plan() is None
        edit(project, "kilometre", "kilometer")
        assert plan() == reason
        edit(project, "kilometer", "kilometre")


def test_a_record_without_trees(ran: Project) -> None:
    """What 0.1.0 has executed runs on: nothing runs because of it, and the module's text decides."""
    path = ran.root / "runs/step/one/run.json"
    stored = json.loads(path.read_text())
    assert {len(state.pop("tree")) for state in stored["fingerprint"]["modules"].values()} == {32}
    path.write_text(json.dumps(stored))
    assert plan() is None
    edit(ran, "# per kilometre", "# for each kilometre")
    assert plan() == "module: lib/costs.py"


def test_accepted_modules_count_by_their_tree(ran: Project) -> None:
    """After `ductaflow accept` comments still execute nothing, and code does."""
    edit(ran, "RATE = 2", "RATE = 3")
    assert CliRunner().invoke(main, ["accept", "step"]).exit_code == 0
    assert plan() is None
    edit(ran, "# per kilometre", "# for each kilometre")
    assert plan() is None
    edit(ran, "RATE = 3", "RATE = 4")
    assert plan() == "module: lib/costs.py"


def test_a_cache_that_was_deleted_or_damaged(ran: Project) -> None:
    """What is remembered of modules is only a saving of time."""
    edit(ran, "# per kilometre", "# for each kilometre")
    assert plan() is None
    kept = list((ran.root / "runs/.ductaflow/hashes").glob("module-*"))
    assert kept
    for file in kept:
        file.write_text("{")
    assert plan() is None
    for file in kept:
        file.unlink()
    assert plan() is None


def test_the_packages_of_a_module(ran: Project) -> None:
    """What only a module imports is still among the packages of the record."""
    edit(ran, "RATE = 2", "import numpy\n\nRATE = 2")
    run_instances(pd.DataFrame({"instance_name": ["one"]}), "flow/step.py")
    assert list(ran.record("step", "one")["fingerprint"]["packages"]) == ["numpy"]

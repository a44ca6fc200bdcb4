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
# Each asks for the text of a module of its own, which is `asked` and in which `cost` is.
WAYS_TO_ASK = {
    "inspect": "import inspect\ninspect.getsource(cost)",
    "open": "open(asked.__file__).read()",
    "resources": "import importlib.resources\n(importlib.resources.files('lib') / '{name}.py').read_text()",
    "loader": "asked.__spec__.loader.get_source('lib.{name}')",
    "linecache": "import linecache\nlinecache.getline(asked.__file__, 1)",
    "run_path": "import runpy\nrunpy.run_path(asked.__file__)",
    "warning": (
        "import inspect, warnings\n"
        "warnings.warn_explicit('dear', UserWarning, asked.__file__, 3)\ninspect.getsource(cost)"
    ),
}
HARMLESS = {
    "comment": ("# per kilometre", "# for each kilometre"),
    "comment removed": ("  # rounded nowhere", ""),
    "blank lines and spacing": ("RATE = 2\n", "\n\nRATE  =  2\n\n"),
    "quotes": ('"""In euros."""', "'''In euros.'''"),
    "line break": ("return length * RATE", "return (length\n            * RATE)"),
}
HARMFUL = {
    "value of the same size": ("RATE = 2", "RATE = 3"),
    "type of a value": ("RATE = 2", "RATE = 2.0"),
    "docstring": ('"""In euros."""', '"""In dollars."""'),
    "statement without effect": ("    return length", "    pass\n    return length"),
    "no Python any more": ("RATE = 2", "RATE = = 2"),
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


def edit(project: Project, old: str, new: str, name: str = "costs") -> None:
    """Replace text in a module, which must hold it."""
    path = project.root / f"lib/{name}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.engines("fork", "spawn", "kernel")
def test_what_cannot_change_a_result(ran: Project) -> None:
    """Comments and layout of a module execute nothing; what is edited next is still seen."""
    for what, (old, new) in HARMLESS.items():
        (ran.root / "lib/costs.py").write_text(MODULE)
        edit(ran, old, new)
        assert plan() is None, what
        assert run()["status"] == "up to date", what
        edit(ran, "def cost(length", "FACTOR = 3\n\n\ndef cost(length")
        assert plan() == "module: lib/costs.py", what


def test_what_may_change_a_result(ran: Project) -> None:
    """All else of a module counts; docstrings do, for code can read them."""
    for what, (old, new) in HARMFUL.items():
        (ran.root / "lib/costs.py").write_text(MODULE)
        edit(ran, old, new)
        assert plan() == "module: lib/costs.py", what


def test_a_comment_that_means_something(ran: Project) -> None:
    """Another encoding gives other texts, although only a comment was edited."""
    path = ran.root / "lib/costs.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + MODULE.encode())
    run()
    assert plan() is None
    path.write_bytes(path.read_bytes().replace(b"latin-1", b"cp1251"))
    assert plan() == "module: lib/costs.py"


@pytest.mark.engines("fork", "spawn", "kernel")
def test_code_that_reads_its_own_text(project: Project) -> None:
    """A module whose text is read while the flow runs counts by every character, in whatever way it is read."""
    project.write("lib/__init__.py", "")
    body = ""
    for name, asks in {"unasked": "", **WAYS_TO_ASK}.items():
        (project.root / f"lib/{name}.py").write_text(MODULE)
        body += f"\n# %%\nfrom lib import {name} as asked\ncost = asked.cost\n{asks.format(name=name)}\n"
    project.flow(body)
    run()
    assert plan() is None
    edit(project, "# per kilometre", "# for each kilometre", "unasked")
    assert plan() is None
    for name in WAYS_TO_ASK:
        edit(project, "# per kilometre", "# for each kilometre", name)
        assert plan() == f"module: lib/{name}.py"
        edit(project, "# for each kilometre", "# per kilometre", name)
        assert plan() is None


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

"""What ran is what counts: a module's text, whatever compiled files lie about and whatever its time says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.staleness.test_tracking import plan, run

FLOW = """
import ductaflow
from lib.rates import RATE
ductaflow.save_results(rate=RATE)
"""
LATE = """
import os
import ductaflow
from lib.rates import RATE
path = ductaflow.project_path("lib") / "rates.py"
path.with_suffix(".new").write_text("RATE = 3\\n")
os.utime(path.with_suffix(".new"), (1, 1))
os.replace(path.with_suffix(".new"), path)
ductaflow.save_results(rate=RATE)
"""


def compile_and_edit(project: Project) -> Path:
    """A module whose compiled file has the size and the time of its text, and is of an earlier one."""
    path = project.write("lib/rates.py", "RATE = 1\n")
    subprocess.run([sys.executable, "-m", "py_compile", path], check=True)
    before = path.stat()
    path.write_text("RATE = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_compiled_file_of_an_earlier_text_is_not_taken(project: Project) -> None:
    """A module edited to the same size within the second of its time gives its new value, and nothing is compiled."""
    path = compile_and_edit(project)
    compiled = {file: file.read_bytes() for file in path.parent.rglob("*.pyc")}
    project.flow(FLOW)
    assert run()["result.rate"] == 2
    assert {file: file.read_bytes() for file in path.parent.rglob("*.pyc")} == compiled
    assert plan() is None
    before = path.stat()
    path.write_text("RATE = 3\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert plan() == "module: lib/rates.py"
    assert run()["result.rate"] == 3


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_module_loaded_by_its_path_is_compiled_too(project: Project) -> None:
    """Not only what `import` finds."""
    compile_and_edit(project)
    project.flow("""
        import ductaflow
        from importlib.util import module_from_spec, spec_from_file_location
        spec = spec_from_file_location("rates", ductaflow.project_path("lib/rates.py"))
        rates = module_from_spec(spec)
        spec.loader.exec_module(rates)
        ductaflow.save_results(rate=rates.RATE)
        """)
    assert run()["result.rate"] == 2


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_module_replaced_meanwhile_by_an_older_file(project: Project) -> None:
    """The record tells the text that ran, not the one that is there at the end; put back, it is up to date."""
    path = project.write("lib/rates.py", "RATE = 1\n")
    project.flow(LATE)
    assert run()["result.rate"] == 1
    assert plan() == "module: lib/rates.py"
    path.write_text("RATE = 1\n")
    assert plan() is None


def test_a_script_says_that_python_took_an_earlier_text(project: Project) -> None:
    """Python itself imported the module before the CLI cell: the script ends before it computes anything."""
    path = compile_and_edit(project)
    project.write("config/base.json", "{}")
    text = project.flow("import ductaflow\nductaflow.save_results(rate=RATE)").read_text()
    project.write("flow/step.py", f"import sys; sys.path.insert(0, '.')\nfrom lib.rates import RATE\n{text}")
    command = [sys.executable, "flow/step.py", "--output-dir", "runs/step/one"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert f"Python took {path} from a compiled file of an earlier text" in told.stderr
    assert not (project.root / "runs/step/one").exists()
    for file in path.parent.rglob("*.pyc"):
        file.unlink()
    subprocess.run(command, check=True)
    assert project.record("step", "one")["results"] == {"rate": 2}


def test_a_script_compiles_what_it_imports_later(project: Project) -> None:
    """From the CLI cell on a script takes the text, as everywhere."""
    compile_and_edit(project)
    project.write("config/base.json", "{}")
    project.flow(FLOW)
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/one"], check=True)
    assert project.record("step", "one")["results"] == {"rate": 2}

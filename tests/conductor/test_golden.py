"""What an analyst reads in ten situations, to the letter, but for times and places.

After a deliberate change of words: `pytest tests/conductor/test_golden.py --write-golden`, then read each file aloud.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.conductor.screen import masked, shown_in_a_file, shown_in_terminal
from tests.conftest import Project
from tests.kernels import run_cells
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parent / "golden"
Golden = Callable[[str, str], None]

FLOW = """
# %%
import time

from ductaflow import save_results
from src.growth import grow

if config["beta"] > 5:
    print("waiting", flush=True)
    time.sleep(600)

# %%
population = grow(config["people"], config["beta"])
if config["wrong"] == "column":
    {"length": 3}["lenght"]
if config["wrong"] == "divides" or population == 0:
    config["people"] / 0
assert config["wrong"] != "asserts", f"more people than there are: {population}"
save_results(population=population)
"""
MODULE = '"""How an epidemic grows."""\n\n\ndef grow(people, beta):\n    return people * (1 + beta)\n'
CONDUCTOR = """\
import pandas as pd

from ductaflow import run_instances

ROWS = {rows}
control_df = pd.DataFrame(
    {{
        "instance_name": [f"run_{{row:03}}" for row in range(ROWS)],
        "people": 1000,
        "beta": [{beta} for row in range(ROWS)],
        "wrong": [{wrong} for row in range(ROWS)],
    }}
)
results = run_instances(control_df, "flow/epidemic.py", workers=1{options})
print(results["status"].value_counts().to_dict())
"""


@pytest.fixture
def epidemic(project: Project) -> Project:
    """A project of one step."""
    project.write("src/__init__.py", "")
    project.write("src/growth.py", MODULE)
    project.flow(FLOW, "flow/epidemic.py")
    return project


def conductor(project: Project, rows: int = 4, beta: str = "0.1 * row", wrong: str = "''", options: str = "") -> None:
    """Write the conductor's file."""
    text = CONDUCTOR.format(rows=rows, beta=beta, wrong=wrong, options=options)
    (project.root / "conductor.py").write_text(text)


@pytest.fixture
def is_golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with the file of that name, or writes it."""

    def is_golden(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--write-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return is_golden


def test_first_run_nothing_to_do_and_one_changed(epidemic: Project, is_golden: Golden) -> None:
    """What runs, a bar that is full in the end, and nothing else; then one line; then one that tells which value."""
    conductor(epidemic)
    is_golden("first_run", shown_in_terminal(epidemic.root, "conductor.py"))
    is_golden("nothing_to_do", shown_in_terminal(epidemic.root, "conductor.py"))
    conductor(epidemic, beta="0.1 * row if row != 2 else 0.25")
    is_golden("one_changed", shown_in_terminal(epidemic.root, "conductor.py"))


def test_mixed_reasons(epidemic: Project, is_golden: Golden) -> None:
    """The commonest reasons first; the rest is counted."""
    conductor(epidemic, wrong="'column' if row == 3 else ''")
    shown_in_a_file(epidemic.root, "conductor.py")
    epidemic.write("src/growth.py", MODULE.replace("1 + beta", "beta + 1"))
    (epidemic.root / "runs/epidemic/run_001/run.json").unlink()
    conductor(epidemic, rows=8, beta="0.1 * row if row != 2 else 0.25")
    is_golden("mixed_reasons", shown_in_terminal(epidemic.root, "conductor.py"))


def test_many_equal_failures(epidemic: Project, is_golden: Golden) -> None:
    """One wrong name in 200 rows: told once, and the night is saved."""
    conductor(epidemic, rows=200, wrong="'column'")
    shown = shown_in_terminal(epidemic.root, "conductor.py")
    # With the twentieth failure, as many more rows may have begun as a moment allows.
    shown = re.sub(r"\b(2[0-9]|1[5-9]|1[78]\d)\b(?! equal)", "N", shown)
    is_golden("many_equal_failures", re.sub(r"\|█+[▏▎▍▌▋▊▉]? +\|", "|BAR|", shown))


def test_three_kinds_of_failure(epidemic: Project, is_golden: Golden) -> None:
    """The first of each kind in full as it happens, all of them counted in the end."""
    conductor(epidemic, rows=12, wrong="['column', 'divides', 'asserts', ''][row % 4]")
    is_golden("three_kinds_of_failure", shown_in_terminal(epidemic.root, "conductor.py"))


def test_interrupted(epidemic: Project, is_golden: Golden) -> None:
    """Three lines, and the bar as it was."""
    conductor(epidemic, beta="6 if row == 2 else 0.1")
    log = epidemic.root / "runs/epidemic/run_002/run.log"

    def interrupt(process: subprocess.Popen[bytes]) -> None:
        wait_for(lambda: log.exists() and "waiting" in log.read_text())
        os.killpg(process.pid, signal.SIGINT)

    is_golden("interrupted", shown_in_terminal(epidemic.root, "conductor.py", meanwhile=interrupt))


def test_timeout(epidemic: Project, is_golden: Golden) -> None:
    """A row that takes too long fails like any other."""
    conductor(epidemic, beta="6 if row == 2 else 0.1", options=', timeout=8, on_error="continue"')
    is_golden("timeout", shown_in_terminal(epidemic.root, "conductor.py"))


def test_no_terminal(epidemic: Project, is_golden: Golden) -> None:
    """In a file there is no bar."""
    conductor(epidemic, wrong="'column' if row == 3 else ''", options=', on_error="continue"')
    is_golden("no_terminal", shown_in_a_file(epidemic.root, "conductor.py"))


def test_notebook(epidemic: Project, is_golden: Golden) -> None:
    """In a Jupyter notebook the bar is a widget; a failure's traceback ends with the same words."""
    conductor(epidemic, wrong="'column' if row == 3 else ''", options=', on_error="continue"')
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(Path("conductor.py").read_text())])
    run_cells(notebook, epidemic.root)
    shown = []
    for output in notebook.cells[0].outputs:
        shown.append(output.text if output.output_type == "stream" else output.data["text/plain"] + "\n")
    is_golden("notebook", masked("".join(shown), epidemic.root))

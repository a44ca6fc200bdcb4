"""`make bench` works: each way to execute a flow, each cost and the page of results, on two instances."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.fault_kills import KILLS
from benchmarks.fault_sweeps import TOGETHER
from benchmarks.flows import make_project
from benchmarks.promises import PROMISES, Measurement
from benchmarks.report import write_report
from benchmarks.series import Series

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = [name for name in CONTENDERS if not name.startswith("ploomber")]  # it gets an environment of its own
COSTS: dict[str, Any] = {
    "cold": {"ductaflow light": 1.0, "papermill light": 2.0, "ductaflow plot": 3.0, "papermill plot": 2.0},
    "imports": {
        "pass": 0.010,
        "import ductaflow": 0.020,
        "pandas script": 0.400,
        "pandas script with load_cli_config": 0.420,
    },
    "memory": {"workers": [20e6], "instances": [25e6]},
    "leftovers": {
        "done": 300,
        "seconds": 12.0,
        "after": {"threads": 4, "handles": 9},
        "after twice": {"threads": 4, "handles": 10},
        "orphans": 0,
    },
    "overhead": {"ductaflow_sweep": 0.040, "papermill_sequential": 0.400},
    "where": {"the fingerprint": 0.001, "the flow's own code": 0.026},
}
MEASURE = """\
import json, sys
from benchmarks.flows import FLOWS
from benchmarks.processes import adopt_orphans
from benchmarks.run import measure
from benchmarks.series import Series

adopt_orphans()
series = Series(2)
measure(FLOWS["light"], sys.argv[1], series)
print(json.dumps({"wall": series.wall, "cpu": series.cpu, "failure": series.failure}))
"""


def run_python(*arguments: str, folder: Path) -> Any:
    """What `python ...` prints last, as JSON; in a process of its own, for the benchmark adopts all orphans."""
    command = [sys.executable, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def modules_used(path: Path) -> set[str]:
    """The modules that one of the benchmark's modules imports, wherever in it the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


def test_imports_go_in_no_circle() -> None:
    """Each module of the benchmark can be read without one that uses it."""
    used = {f"benchmarks.{path.stem}": modules_used(path) for path in (ROOT / "benchmarks").glob("*.py")}
    order = list(TopologicalSorter(used).static_order())  # raises CycleError
    assert set(used) <= set(order)
    assert not any(name.partition(".")[0] == "tests" for name in order)


def results() -> dict[tuple[str, str], Series]:
    """Every contender a tenth of a second slower than the one before; one has failed."""
    found = {}
    for flow in ("light", "plot", "busy"):
        for number, contender in enumerate(CONTENDERS, 1):
            found[flow, contender] = Series(10, wall=[number / 10] * 3, cpu=[number / 20] * 3)
    found["light", "plain_python"] = Series(10, failure="No module named pandas")
    return found


def test_the_page_shows_every_contender_and_promise(tmp_path: Path) -> None:
    """Each way has a line for each flow, with its ratio, and each promise one that says whether it is met."""
    text = write_report(tmp_path / "RESULTS.md", Measurement(results(), COSTS, workers=2))
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == text
    assert text.count(" x |\n") + text.count("| failed: ") == 3 * len(CONTENDERS)
    assert "| papermill, one after the other | 10 | 400.0 | 200.0 | 4.0 x | 0.4 x |" in text
    assert all(f"| {promise.what} | " in text for promise in PROMISES)
    assert "| cold `run_notebook` against papermill, light | 0.50 x | <= 1 x | yes |" in text
    assert "| cold `run_notebook` against papermill, plot | 1.50 x | <= 1 x | no |" in text
    assert "| light flow against the floor | 0.10 x | <= 1.5 x | yes |" in text
    assert "| CPU of a flow that does nothing | 40.00 ms | <= 32 ms | no |" in text
    assert "| ... handles that a second such sweep adds | 1.00 | <= 0 | no |" in text


def test_what_failed_keeps_no_promise(tmp_path: Path) -> None:
    """A contender that failed is named with its reason, and no ratio is made up for it."""
    text = write_report(tmp_path / "RESULTS.md", Measurement(results(), COSTS, workers=2))
    assert "| plain `python flow.py`, one after the other | - | failed: No module named pandas | - | - | - |" in text
    assert "| light flow against plain `python flow.py` | nan x | >= 6 x | no |" in text


@pytest.mark.slow
@pytest.mark.parametrize("contender", INSTALLED)
def test_a_contender_is_measured(contender: str, tmp_path: Path) -> None:
    """Each way to execute the flow does so, and gives seconds and CPU seconds an instance."""
    found = run_python("-c", MEASURE, contender, folder=tmp_path)
    assert found["failure"] is None
    assert found["wall"][0] > 0
    assert found["cpu"][0] > 0


@pytest.mark.slow
def test_costs_are_measured(tmp_path: Path) -> None:
    """Cold calls, imports, memory and what a sweep leaves behind are found as the page needs them."""
    folder = tmp_path / "project"
    make_project(folder)
    code = (
        "import json; from pathlib import Path; from benchmarks import costs; "
        "print(json.dumps({'cold': costs.cold_calls(Path.cwd(), 1), 'imports': costs.imports(Path.cwd(), 1)}))"
    )
    found = run_python("-c", code, folder=folder)
    found["memory"] = run_python("-m", "benchmarks.costs", "memory", "2", folder=folder)
    found["leftovers"] = run_python("-m", "benchmarks.costs", "leftovers", "2", folder=folder) | {"orphans": 0}
    assert found["leftovers"]["done"] == 2
    assert {name: set(found[name]) for name in found} == {name: set(COSTS[name]) for name in found}


@pytest.mark.slow
def test_planning_is_measured_on_instances_that_are_up_to_date(tmp_path: Path) -> None:
    """The copies of one executed instance are up to date to plan and conductor: what is timed is the comparison."""
    folder = tmp_path / "planned"
    command = [sys.executable, "-m", "benchmarks.planning", "make", str(folder), "2"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert run_python("-m", "benchmarks.planning", "plan", "2", folder=folder)["stale"] == 0
    assert run_python("-m", "benchmarks.planning", "conduct", "2", folder=folder)["executed"] == 0


@pytest.mark.slow
def test_sixteen_workers_start_like_one() -> None:
    """What a flow imports is imported once, however many workers there are; each has little memory of its own."""
    from benchmarks.starts import measure

    found = measure([1, 16], repeats=1)
    assert found[16]["cpu"] < 1.3 * found[1]["cpu"]
    assert found[16]["megabytes"] - found[1]["megabytes"] < 15 * 10


@pytest.mark.slow
def test_what_a_shared_cell_saves_is_measured() -> None:
    """An instance beside a table of eighty megabytes has little memory of its own."""
    from benchmarks.shared import measure

    found = measure("shared", 2, rows=10_000_000)
    assert found["megabytes"] < 60
    assert found["seconds"] > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what belongs to a trial is told by /proc")
def test_a_killed_sweep_is_tried() -> None:
    """A case of the faults is tried as often as asked for, and nothing is found in it that must not be."""
    command = [sys.executable, "-m", "benchmarks.faults", "all of them together, SIGKILL", "--trials", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"^\| all of them together, SIGKILL \| 2 \|( 0 \|)+$", done.stdout, re.MULTILINE), done.stderr


def test_the_faults_told_are_those_that_were_tried() -> None:
    """docs/faults.md says how many trials there were, as the committed table does, which has found nothing."""
    page = (ROOT / "benchmarks" / "FAULTS.md").read_text(encoding="utf-8")
    table = page.partition("<!-- faults -->")[2].partition("<!-- end of faults -->")[0]
    rows = re.findall(r"^\| (.+?) \| (\d+) \|((?: \d+ \|)+)$", table, re.MULTILINE)
    assert [name for name, _, _ in rows] == [*KILLS, *TOGETHER]
    assert {number for _, _, numbers in rows for number in re.findall(r"\d+", numbers)} == {"0"}
    trials = sum(int(number) for _, number, _ in rows)
    told = " ".join((ROOT / "docs" / "faults.md").read_text(encoding="utf-8").split())
    assert f"In {trials} trials nothing of the kind was found" in told

"""`ductaflow plan conductor.py`: a plan of all steps, which leaves everything as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ductaflow_runtime.cli.main import main
from tests.conftest import Project

CONDUCTOR = """\
from pathlib import Path

import pandas as pd

from ductaflow import instance_path, load_results, project_path, run_instances, run_notebook

Path("figures").mkdir(exist_ok=True)
control_df = pd.DataFrame({"instance_name": ["a", "b"], "toll": [1, 2]})
costs = run_instances(control_df, "flow/cost.py")
with open("figures/rows.txt", "w") as file:
    file.write("rows")
control_df.to_csv("figures/rows.csv")
control_df.to_parquet("figures/rows.parquet")
sums = run_instances(pd.DataFrame({"instance_name": ["all"]}), "flow/total.py", whole=True)
"""
COST = """
from pathlib import Path
from ductaflow import save_results
Path("cost.txt").write_text(str(config["toll"] * 2))
save_results(cost=config["toll"] * 2)
"""
TOTAL = """
from ductaflow import instance_path, project_path, save_results
rows = open(project_path("figures") / "rows.txt").read()
save_results(total=sum(int(instance_path("cost", name, "cost.txt").read_text()) for name in "ab"))
"""
ALL_NEW = "cost: 2 to run (2 new), 0 up to date\ntotal: 1 to run (1 new), 0 up to date\nnothing was executed\n"


@pytest.fixture
def tolls(project: Project) -> Project:
    """A project of two steps."""
    project.flow(COST, "flow/cost.py")
    project.flow(TOTAL, "flow/total.py")
    project.write("conductor.py", CONDUCTOR)
    return project


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    """What is in a project."""
    return {
        str(path.relative_to(root)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in root.rglob("*")
    }


# The command in forks of a process that has imported what a conductor imports, but nothing of ours.
FORKS = """
import json, os, runpy, sys
import pandas, pyarrow.parquet

for line in sys.stdin:
    folder, told, *sys.argv = json.loads(line)
    pid = os.fork()
    if not pid:
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        runpy.run_module("ductaflow", run_name="__main__", alter_sys=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Warm:
    """The command without the time that it takes to import pandas."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, project: Project, *options: str) -> tuple[int, str]:
        """Its exit code, and what it prints."""
        told = project.root.parent / "told"
        told.unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(project.root), str(told), "ductaflow", *options]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline()), told.read_text()


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """The command, as often as needed."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Warm(process)


def anew(_project: Project, *options: str) -> tuple[int, str]:
    """The command as everybody calls it: its exit code, and what it prints."""
    command = [sys.executable, "-m", "ductaflow", *options]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return told.returncode, told.stdout


def plan(project: Project, *options: str, code: int = 0, command: Callable[..., tuple[int, str]] = anew) -> str:
    """What the command prints; nothing in the project is other than before."""
    before = everything(project.root)
    ended, told = command(project, "plan", "conductor.py", *options)
    assert everything(project.root) == before
    assert ended == code, told
    return told


def run(project: Project) -> list[str]:
    """Run the conductor; the lines that its sweeps begin with."""
    told = subprocess.run([sys.executable, "conductor.py"], capture_output=True, text=True, check=True)
    return [line for line in told.stderr.splitlines() if " to run" in line]


@pytest.mark.slow
def test_a_plan_of_two_steps(tolls: Project) -> None:
    """First run, nothing to do, an edit upstream: told as the sweeps then tell it."""
    assert plan(tolls) == ALL_NEW
    assert run(tolls) == ALL_NEW.splitlines()[:2]
    told = plan(tolls).splitlines()
    assert told[0] == "cost: 0 to run, 2 up to date"
    assert told[1] == "total: 0 to run, 1 may run (it reads rows.txt of the conductor, made anew before), 0 up to date"
    tolls.write("conductor.py", CONDUCTOR.replace("[1, 2]", "[1, 3]").replace('open("figures', 'open("other'))
    told = plan(tolls).splitlines()
    assert told[0] == "cost: 1 to run (1 config: toll 2 -> 3), 1 up to date"
    assert told[1] == "total: 0 to run, 1 may run (it reads results of cost, made anew before), 0 up to date"
    tolls.write("conductor.py", CONDUCTOR.replace("[1, 2]", "[1, 3]"))
    assert run(tolls) == [told[0], "total: 1 to run (1 input: runs/cost/b/cost.txt), 0 up to date"]


NEEDS = "needs results of cost, of which 2 of 2 rows would run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("if costs['result.cost'].max() > 1: print()", NEEDS),
        ("best = list(costs['result.cost'])", NEEDS),
        ("open('runs/cost/a/cost.txt').read()", "reads runs/cost/a/cost.txt, and cost/a would run before"),
        ("len(load_results())", "needs results of all steps, some of which would be made anew"),
        ("open('figures/rows.txt', 'w').close(); open('figures/rows.txt')",
         "reads figures/rows.txt, which it would have written before"),
        ("Path('runs/cost/a/cost.txt').exists()", "asks for runs/cost/a/cost.txt, and cost/a would run before"),
        ("open('new.txt', 'w').close(); Path('new.txt').exists()",
         "asks for new.txt, which it would have written before"),
        ("Path('pyproject.toml').unlink()", "changes pyproject.toml"),
        ("Path('pyproject.toml').rename('x')", "changes pyproject.toml"),
        ("open('pyproject.toml', 'r+')", "writes pyproject.toml"),
        ("import os; os.open('x', os.O_CREAT | os.O_WRONLY)", "writes x"),
        ("import sqlite3; sqlite3.connect('x.db')", "opens the database x.db, in which it could write"),
        ("import subprocess; subprocess.run(['touch', 'x'])", "starts another program (touch x)"),
        ("import os; os.system('touch x')", "starts another program (touch x)"),
        ("import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start()",
         "starts another program (os.fork)"),
        ("import socket; socket.create_connection(('192.0.2.1', 9))", "connects to 192.0.2.1"),
    ],
)  # fmt: skip
def test_where_a_plan_ends(tolls: Project, warm: Warm, line: str, why: str) -> None:
    """What needs a result that is not there yet, or would change something, ends it; the line and the rest are told."""
    before, after = CONDUCTOR.split("with open")
    tolls.write("conductor.py", f"{before}try:\n    {line}\nexcept Exception:\n    pass\nwith open{after}")
    number = before.count("\n") + 2
    assert plan(tolls, command=warm).splitlines() == [
        "cost: 2 to run (2 new), 0 up to date",
        f"the plan ends at conductor.py:{number}, which {why}",
        f"    {line}",
        f"not planned: conductor.py:{number + 7} flow/total.py",
        "nothing was executed",
    ]


@pytest.mark.slow
def test_a_conductor_that_catches_everything(tolls: Project) -> None:
    """What it does after that is not planned either."""
    before, after = CONDUCTOR.split("with open")
    tolls.write("conductor.py", f"{before}try:\n    bool(costs['error'].any())\nexcept:\n    pass\nwith open{after}")
    told = plan(tolls)
    assert "total" not in told.splitlines()[1]
    assert NEEDS in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("1 / 0", 1, "where it raises ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no data')", 1, "where it exits: no data"),
        ("run_notebook('flow/nothing.py')", 1, "where it ends with an error: flow not found"),
        ("run_notebook('flow/cost.py', {'tol': 1})", 1, "where it ends with an error"),
    ],
)
def test_a_conductor_that_fails(tolls: Project, warm: Warm, line: str, code: int, told: str) -> None:
    """Its error is told with the line; what was planned before stands."""
    tolls.write("conductor.py", CONDUCTOR.split("with open")[0] + line + "\n")
    shown = plan(tolls, code=code, command=warm)
    assert shown.startswith("cost: 2 to run (2 new), 0 up to date\nthe plan ends at conductor.py:10, ")
    assert told in shown
    assert shown.endswith("no step comes after that\nnothing was executed\n")


@pytest.mark.slow
def test_what_is_not_there_yet_at_the_end(tolls: Project) -> None:
    """A table at the end ends the plan, too, but no step is missing then; printing alone does not end it."""
    tail = "print(costs[['toll', 'result.cost']], f\"{sums['result.total'].sum():.1f}\")\n"
    tolls.write("conductor.py", CONDUCTOR + tail)
    assert plan(tolls) == ALL_NEW
    tolls.write("conductor.py", CONDUCTOR + tail + "table = costs['result.cost'].to_numpy() * 1.0\nfloat(table)\n")
    told = plan(tolls).splitlines()
    assert told[2:] == [
        f"the plan ends at conductor.py:17, which {NEEDS}",
        "    float(table)",
        "no step comes after that",
        "nothing was executed",
    ]


@pytest.mark.slow
def test_single_instances_and_guards(tolls: Project) -> None:
    """A loop of `run_notebook`, a main guard, and a git commit that is looked up, are planned like a sweep."""
    text = CONDUCTOR.split("control_df =")[0] + (
        "import subprocess\n"
        "def main():\n"
        "    subprocess.run(['git', 'rev-parse', 'HEAD'], capture_output=True)\n"
        "    for toll in [1, 2]:\n"
        "        record = run_notebook('flow/cost.py', {'toll': toll}, instance_name='ab'[toll - 1])\n"
        "        print(record.directory, instance_path('cost', 'a', 'cost.txt'), record.results['cost'])\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    tolls.write("conductor.py", text)
    assert plan(tolls) == "cost: 2 to run (2 new), 0 up to date\nnothing was executed\n"


@pytest.mark.slow
def test_a_conductor_takes_no_options(tolls: Project) -> None:
    """Which instances there are, it says itself."""
    assert "conductor.py is a conductor" in plan(tolls, "--name", "a", code=2)


def test_a_conductor_that_is_no_python(tolls: Project) -> None:
    """It is told with file, line and text, and not taken for a flow that has not run yet."""
    path = tolls.write("conductor.py", CONDUCTOR + "\nrun_instances(rows=1, 2)\n")
    done = CliRunner().invoke(main, ["plan", "conductor.py"])
    line = len(path.read_text().splitlines())
    assert f"nothing can be planned: conductor.py:{line}: run_instances(rows=1, 2): SyntaxError: " in done.output
    assert done.exit_code == 2

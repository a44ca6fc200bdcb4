"""Limits of memory, and what an instance has used: real processes that allocate, far below what a machine has."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import ConfigError, FlowError, ProjectError, load_results, run_instances, run_notebook
from ductaflow_runtime.cli.main import main as command
from ductaflow_runtime.memory import amount, can_tell, limit_problem, machine_memory, read_amount
from ductaflow_runtime.status_page import write_page
from tests.conftest import Project
from tests.status_page.reading import column
from tests.worker.test_processes import is_running

MB = 1_000_000

# Written to, for what is only asked for costs nothing.
HOLD = """
def hold(megabytes):
    held = bytearray(megabytes * 1_000_000)
    held[::4096] = b"x" * len(held[::4096])
    return held
"""
GREEDY = f"""
# %%
print("before")
# %%
import time
{HOLD}
if config.get("megabytes"):
    kept = hold(config["megabytes"])
    time.sleep(60)
"""
FAMILY = f"""
# %%
import subprocess, sys, time
code = '''{HOLD}
import time
kept = hold(200)
time.sleep(60)
'''
started = [subprocess.Popen([sys.executable, "-c", code], start_new_session=True) for _ in range(3)]
open("pids", "w").write(" ".join(str(one.pid) for one in started))
time.sleep(60)
"""


@pytest.mark.engines("fork", "spawn", "kernel")
def test_too_much_memory_is_a_failed_record(project: Project) -> None:
    """The instance is ended at once; record and notebook say where and how much; the other rows go on."""
    project.flow(GREEDY)
    rows = pd.DataFrame({"instance_name": ["b", "c"], "megabytes": [600, 0]})
    frame = run_instances(rows, "flow/step.py", workers=1, max_memory="300 MB", on_error="continue")
    assert frame["status"].tolist() == ["failed", "done"]
    stored = project.record("step", "b")
    assert (stored["error"]["type"], stored["error"]["cell"]) == ("Memory", 4)
    assert stored["error"]["message"] == f"used {amount(stored['peak_memory'])}, more than max_memory = 300 MB"
    assert stored["peak_memory"] > 300 * MB
    assert stored["duration_s"] < 60
    assert "ductaflow: used" in (project.root / "runs/step/b/run.log").read_text()
    cells = project.notebook("step", "b")["cells"]
    printed = ["".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", [])]
    assert "before\n" in printed
    assert [cell["metadata"]["papermill"]["status"] for cell in cells].count("failed") == 1


@pytest.mark.engines("fork", "spawn", "kernel")
def test_all_processes_of_an_instance_count(project: Project) -> None:
    """Three processes that have left the group hold too much together, though none does alone; they end with it."""
    project.flow(FAMILY)
    with pytest.raises(FlowError, match=r"Memory: used .*, more than max_memory = 450 MB"):
        run_notebook("flow/step.py", {}, instance_name="x", max_memory="450 MB")
    pids = [int(pid) for pid in (project.root / "runs/step/x/pids").read_text().split()]
    assert len(pids) == 3
    assert [pid for pid in pids if is_running(pid)] == []


def test_what_forks_share_counts_once(project: Project) -> None:
    """Four processes forked by a flow that holds much do not hold it four times."""
    project.flow(
        f"""
# %%
import os, time
{HOLD}
kept = hold(200)
pids = []
for _ in range(4):
    pid = os.fork()
    if not pid:
        time.sleep(1)
        os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
"""
    )
    record = run_notebook("flow/step.py", {}, instance_name="x", max_memory="400 MB")
    assert record.status == "done"
    assert 200 * MB < record.peak_memory < 400 * MB


def test_what_shared_cells_hold_is_not_the_instances(project: Project) -> None:
    """A table of the shared cells is in memory once, and no limit of an instance is exceeded by it."""
    project.write("flow/step.py", f'# %% tags=["shared"]{HOLD}\ntable = hold(400)\n\n# %% tags=["parameters"]\n'
                  "config = {}\n\n# %%\nimport time\ntotal = len(table) + config['n']\ntime.sleep(0.5)\n")  # fmt: skip
    frame = run_instances(pd.DataFrame({"n": [1, 2]}), "flow/step.py", workers=2, max_memory="300 MB")
    assert frame["status"].tolist() == ["done", "done"]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_record_says_what_an_instance_has_used(project: Project) -> None:
    """Peak memory and processor time, of the processes that it started as well; `load_results` has them as columns."""
    project.flow(
        f"""
# %%
import subprocess, sys, time
{HOLD}
kept = hold(150)
time.sleep(0.5)
del kept
busy = "import time\\nwhile time.process_time() < 0.4: pass"
subprocess.run([sys.executable, "-c", busy], check=True)
"""
    )
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert 150 * MB < record.peak_memory < 600 * MB
    assert 0.4 <= record.cpu_s < 60
    row = load_results("step").iloc[0]
    assert (row["cpu_s"], row["peak_memory"]) == (record.cpu_s, record.peak_memory)


def test_a_quick_instance_says_it_too(project: Project) -> None:
    """What ends before anybody has looked tells what it held after its last cell."""
    project.flow(f"# %%\n{HOLD}\nkept = hold(20)\n")
    record = run_notebook("flow/step.py", {}, instance_name="x")
    assert 20 * MB <= record.peak_memory < 150 * MB


def test_a_killed_instance_says_it_too(project: Project) -> None:
    """Where the process could not tell what it used, its worker does."""
    project.flow(f"# %%\nimport os, time\n{HOLD}\nkept = hold(100)\ntime.sleep(0.5)\nos._exit(3)\n")
    with pytest.raises(FlowError, match="exit code 3"):
        run_notebook("flow/step.py", {}, instance_name="x")
    stored = project.record("step", "x")
    assert stored["peak_memory"] > 100 * MB
    assert stored["cpu_s"] > 0


def test_the_limit_is_a_setting(project: Project) -> None:
    """`[tool.ductaflow] max_memory` holds where a call says nothing; the call's own goes before it."""
    project.flow(GREEDY)
    project.settings(max_memory="200 MB")
    with pytest.raises(FlowError, match="more than max_memory = 200 MB"):
        run_notebook("flow/step.py", {"megabytes": 400}, instance_name="x")
    with pytest.raises(FlowError, match="more than max_memory = 250 MB"):
        run_notebook("flow/step.py", {"megabytes": 400}, instance_name="x", max_memory=250 * MB)


def test_the_limit_is_an_option(project: Project) -> None:
    """`ductaflow run --max-memory`."""
    project.flow(GREEDY)
    project.write("config/base.json", '{"megabytes": 400}')
    ended = CliRunner().invoke(command, ["run", "flow/step.py", "--max-memory", "200 MB"])
    assert ended.exit_code == 1
    assert "more than max_memory = 200 MB" in ended.output
    wrong = CliRunner().invoke(command, ["run", "flow/step.py", "--max-memory", "much"])
    assert (wrong.exit_code, wrong.output.partition(" must be ")[0]) == (2, "ductaflow: max_memory")


@pytest.mark.slow
def test_a_limit_holds_in_an_executor(project: Project) -> None:
    """Workers of somebody else's executor keep it as well."""
    project.flow(GREEDY)
    rows = pd.DataFrame({"instance_name": ["a", "b"], "megabytes": [400, 0]})
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        frame = run_instances(rows, "flow/step.py", executor=executor, max_memory="200 MB", on_error="continue")
    assert frame["status"].tolist() == ["failed", "done"]
    assert project.record("step", "a")["error"]["type"] == "Memory"


def test_more_than_the_machine_has_is_told(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Once, before anything runs: the instances may run, for a limit is not what they use."""
    project.flow("# %%\nprint(config['n'])\n")
    machine = machine_memory()
    assert machine is not None
    for n in (1, 3):
        rows = pd.DataFrame({"n": [n, n + 1]})
        run_instances(rows, "flow/step.py", workers=2, max_memory=machine)
    lines = [line for line in capfd.readouterr().err.splitlines() if "max_memory" in line]
    assert lines == [
        f"ductaflow: 2 instances at a time with max_memory = {amount(machine)} may hold {amount(2 * machine)}, "
        f"more than the {amount(machine)} of this machine; workers = 1, or a lower limit, fits"
    ]
    run_instances(rows, "flow/step.py", workers=1, max_memory=machine, force=True)
    assert "max_memory" not in capfd.readouterr().err


def test_a_system_that_cannot_tell_says_so(tmp_path: Path) -> None:
    """Without /proc there is nothing to keep a limit with, and a call with one is told."""
    assert can_tell()
    assert limit_problem(500 * MB) is None
    assert limit_problem(None, tmp_path) is None
    assert str(limit_problem(500 * MB, tmp_path)).startswith("max_memory = 500 MB cannot be kept on this system")


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("2 GB", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("500 mb", 500 * MB),
        ("1.5 GiB", 3 * 2**29),
        (" 2000 kB ", 2 * MB),
        ("1 TB", 10**12),
        ("5000000 B", 5 * MB),
        (2 * 10**9, 2 * 10**9),
    ],
)
def test_what_a_limit_may_be(given: str | int, size: int) -> None:
    """Text with a unit, or bytes."""
    assert read_amount(given) == size


WRONG = [2, 0, -1, 2e9, True, "2", "", "2 G", "GB", "-2 GB", "2,5 GB", "2 GB 1", "1 kB", "nan GB", [2], float("inf")]


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_a_wrong_limit_is_refused(project: Project, given: object) -> None:
    """Name, value and what is expected, before anything runs; a small number lacks its unit."""
    project.flow("# %%\nprint(1)\n")
    with pytest.raises(ConfigError) as caught:
        run_notebook("flow/step.py", {}, max_memory=given)  # type: ignore[arg-type]
    assert str(caught.value) == (
        'max_memory must be text such as "2 GB" or "500 MB", or a whole number of bytes, at least 1 MB, not '
        f"{given!r}; leave it out to set no limit"
    )
    assert not (project.root / "runs").exists()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_memory", "2 gigs", 'text such as "2 GB" or "500 MB", or a whole number of bytes, at least 1 MB'),
        ("max_memory", 2, 'text such as "2 GB" or "500 MB", or a whole number of bytes, at least 1 MB'),
        ("grace", -1, "a number of seconds, 0 or more"),
        ("grace", "30", "a number of seconds, 0 or more"),
    ],
)
def test_a_wrong_setting_is_refused(project: Project, name: str, value: object, told: str) -> None:
    """File, name, value and what is expected."""
    project.flow("# %%\nprint(1)\n")
    project.settings(**{name: value})
    with pytest.raises(ProjectError) as caught:
        run_notebook("flow/step.py", {})
    assert str(caught.value).endswith(f"pyproject.toml: [tool.ductaflow] {name} must be {told}, not {value!r}")


def test_a_script_tells_its_processor_time(project: Project) -> None:
    """Nobody looks at its memory."""
    project.write("config/base.json", "{}")
    project.flow("# %%\nimport time\nwhile time.process_time() < 0.3: pass\n")
    subprocess.run([sys.executable, "flow/step.py", "--output-dir", "runs/step/x"], cwd=project.root, check=True)
    stored = project.record("step", "x")
    assert (stored["cpu_s"] >= 0.3, stored["peak_memory"]) == (True, None)


def test_the_page_shows_both(project: Project) -> None:
    """As columns, and a record of an earlier version has neither."""
    project.flow("# %%\nprint(1)\n")
    run_notebook("flow/step.py", {}, instance_name="new")
    run_notebook("flow/step.py", {}, instance_name="old")
    stored = project.record("step", "old")
    del stored["cpu_s"], stored["peak_memory"]
    project.write("runs/step/old/run.json", json.dumps(stored))
    assert run_notebook("flow/step.py", {}, instance_name="old").skipped
    new = project.record("step", "new")
    page = write_page(project.root / "runs", title="")
    assert column(page, "about", "name") == ["new", "old"]
    assert column(page, "about", "peak_memory") == [new["peak_memory"], None]
    assert column(page, "about", "cpu_s") == [new["cpu_s"], None]


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (999, "999 B"),
        (300 * MB, "300 MB"),
        (2_310_000_000, "2.31 GB"),
        (999_700_000, "1 GB"),
        (1_234 * 10**12, "1234 TB"),
    ],
)
def test_amounts_in_words(size: int, told: str) -> None:
    """Three digits and a unit."""
    assert amount(size) == told

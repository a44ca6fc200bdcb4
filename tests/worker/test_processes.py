"""A process per instance: deaths, limits, parallel rows, and what is left behind (nothing)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import FlowError, InstanceBusyError, load_results, run_instances, run_notebook
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.worker.pool import pool
from tests.conftest import Project
from tests.once import common_folder, once
from tests.waiting import LAST_CHANCE_S, wait_for
from tests.worker.conductors import interrupt, start
from tests.worker.limits import run_out_of_time

COUNT = {"fork": 200, "spawn": 10, "kernel": 8}


def python(project: Project, text: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the project, as an analyst would."""
    script = project.write("conductor.py", text)
    return subprocess.run(
        [sys.executable, script], cwd=project.root, capture_output=True, text=True, timeout=LAST_CHANCE_S
    )


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import os; os._exit(7)", "exit code 7"),
        ("import os; os._exit(0)", "exit code 0"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_a_death_is_a_failed_record_that_says_so(project: Project, engine: str, code: str, message: str) -> None:
    """A child that dies leaves a failed record, its notebook up to the cell, and its last words in the log."""
    project.flow(f"# %%\nprint('before')\n# %%\nimport os\nos.write(2, b'last words')\n{code}\n# %%\nprint('after')\n")
    with pytest.raises(FlowError, match=message):
        run_notebook("flow/step.py", {}, instance_name="x")
    stored = project.record("step", "x")
    assert (stored["status"], stored["error"]["type"], stored["error"]["cell"]) == ("failed", "Died", 4)
    assert message in stored["error"]["message"]
    assert stored["duration_s"] is not None
    notebook = project.notebook("step", "x")
    assert "before\n" in [text for cell in notebook["cells"] for o in cell.get("outputs", []) for text in o["text"]]
    if engine != "kernel":  # a real kernel takes with it what it has not sent
        assert "last words" in (project.root / "runs/step/x/run.log").read_text()


@pytest.mark.engines("fork", "spawn")
def test_one_death_does_not_lose_the_sweep(project: Project) -> None:
    """The rows beside a killed one are done; the results know with what it died."""
    project.flow("# %%\nimport os\nif config['n'] == 2: os._exit(9)\n")
    frame = run_instances(pd.DataFrame({"n": [1, 2, 3]}), "flow/step.py", workers=2, on_error="continue")
    assert frame["status"].tolist() == ["done", "failed", "done"]
    assert sorted(load_results("step")["n"]) == [1, 2, 3]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_timeout_shows_where(project: Project, engine: str) -> None:
    """The time limit interrupts the cell, so that the notebook shows where it was."""
    project.flow("# %%\nimport time\nopen('here', 'w').close()\ntime.sleep(600)\n")
    run_out_of_time(project, engine, (project.root / "runs/step/x/here").is_file)
    stored = project.record("step", "x")
    assert (stored["error"]["type"], stored["error"]["cell"]) == ("Timeout", 3)
    outputs = [o for cell in project.notebook("step", "x")["cells"] for o in cell.get("outputs", [])]
    assert outputs[-1]["ename"] == "KeyboardInterrupt"


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_flow_that_ignores_the_interrupt_is_killed(project: Project, engine: str) -> None:
    """A cell that swallows the interrupt ends all the same, with what it had started."""
    project.flow(
        """
        # %%
        import signal, subprocess, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "300"])
        open("pid", "w").write(str(child.pid))
        time.sleep(600)
        """
    )
    run_out_of_time(project, engine, (project.root / "runs/step/x/pid").is_file)
    pid = int((project.root / "runs/step/x/pid").read_text())
    assert not is_running(pid)


# A process may join the group of the one that it descends from, and then gets no signal that goes to its own.
ELSEWHERE = "# %%\nimport os, time\nos.setpgid(0, os.getpgid(os.getppid()))\nopen('here', 'w').close()\n"


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("ignores", [False, True])
def test_a_flow_that_joins_another_process_group_is_ended(project: Project, engine: str, ignores: bool) -> None:
    """Its time limit holds, and the notebook shows where it was, unless it ignores the interrupt."""
    how = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if ignores else ""
    project.flow(f"{ELSEWHERE}{how}time.sleep(1000)\n")
    run_out_of_time(project, engine, (project.root / "runs/step/x/here").is_file)
    stored = project.record("step", "x")
    assert (stored["error"]["type"], stored["error"]["cell"]) == ("Timeout", 3)
    assert stored["duration_s"] < 1000


def test_a_flow_of_another_process_group_ends_with_its_conductor(project: Project) -> None:
    """Neither the worker nor the flow outlives a conductor that is ended."""
    project.flow(f"{ELSEWHERE}open('pid', 'w').write(f'{{os.getpid()}} ')\ntime.sleep(1000)\n")
    parent = start(project)
    noted = project.root / "runs/step/x/pid"
    wait_for(lambda: noted.is_file() and noted.read_text().endswith(" "), by=parent)
    parent.terminate()
    parent.wait()
    wait_for(lambda: project.record("step", "x")["status"] == "interrupted")
    assert not is_running(int(noted.read_text()))


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


EVENTFUL = r"""
# %% tags=["raises-exception"]
1 / 0

# %%
print("on")

# %%
import os, subprocess, sys
pids = [subprocess.Popen(["sleep", "300"], start_new_session=away).pid for away in (False, True)]
open("pids", "w").write(" ".join(map(str, pids)))

# %%
print("x" * 2_000_000)
for i in range(20_000): print("line", i)

# %%
os.write(1, bytes(range(256)) * 100 + b"\n")

# %%
subprocess.run("echo from a child; echo oops >&2", shell=True)

# %%
for i in range(5_000): sys.stderr.write(f"\r{i}/5000")

# %%
sys.exit(0)

# %%
raise RuntimeError("reached")
"""


@dataclass(frozen=True)
class Ended:
    """An instance that has been executed, its notebook's code cells, and which of the processes it started ran on."""

    record: Record
    cells: list[dict[str, Any]]
    running_on: list[bool]


def live_through(root: Path, engine: str) -> None:
    """Have an instance executed in which a lot happens, and which ends well."""
    Project(root, engine).flow(EVENTFUL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        record = run_notebook("flow/step.py", {}, instance_name="x")
    pids = (record.directory / "pids").read_text().split()
    (root / "running_on.json").write_text(json.dumps([is_running(int(pid)) for pid in pids]))


@pytest.fixture(scope="module")
def eventful(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The instance in which a lot happens; nobody writes there."""
    root = once(common_folder(tmp_path_factory) / f"eventful-{engine}", partial(live_through, engine=engine))
    record = read_record(root / "runs/step/x")
    assert record is not None
    notebook = json.loads((record.directory / "step.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return Ended(record, cells, json.loads((root / "running_on.json").read_text()))


@pytest.mark.engines("fork", "spawn", "kernel")
def test_nothing_that_an_instance_started_outlives_it(eventful: Ended) -> None:
    """A background process that left the group is ended too."""
    assert eventful.running_on == [False, False]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_leaving_with_0_is_success(eventful: Ended) -> None:
    """sys.exit(0) ends a flow well, and the cells after it do not run."""
    assert eventful.record.status == "done"
    assert "".join(eventful.cells[-1]["source"]).startswith("raise RuntimeError")
    assert (eventful.cells[-1]["execution_count"], eventful.cells[-1]["outputs"]) == (None, [])


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize("ending", ["import sys; sys.exit()", "exit()", "quit()"])
def test_leaving_early_is_success(project: Project, ending: str) -> None:
    """sys.exit() and exit() end a flow well, and the cells after them do not run."""
    project.flow(f"# %%\n{ending}\n# %%\nraise RuntimeError('reached')\n")
    assert run_notebook("flow/step.py", {}).status == "done"


@pytest.mark.engines("fork", "spawn", "kernel")
def test_leaving_with_a_code_is_a_failure(project: Project) -> None:
    """sys.exit(3) fails, and what IPython says of it is no warning of the flow's."""
    project.flow("# %%\nimport sys\nsys.exit(3)\n")
    with pytest.raises(FlowError, match="SystemExit"):
        run_notebook("flow/step.py", {}, instance_name="x")
    assert project.record("step", "x")["warnings"] == 0


@pytest.mark.engines("fork", "spawn", "kernel")
def test_an_expected_error_is_no_failure(eventful: Ended) -> None:
    """A cell tagged raises-exception may raise; those after it run."""
    assert eventful.record.status == "done"
    at = next(at for at, cell in enumerate(eventful.cells) if cell["source"] == ["1 / 0"])
    assert [output["ename"] for output in eventful.cells[at]["outputs"]] == ["ZeroDivisionError"]
    assert [output["text"] for output in eventful.cells[at + 1]["outputs"]] == [["on\n"]]


@pytest.mark.engines("fork", "spawn")
def test_a_conductor_needs_no_main_guard(project: Project) -> None:
    """A script that calls run_instances at its top level runs once, with two workers."""
    project.flow("# %%\nprint(config['n'])\n")
    ended = python(
        project,
        """
        import pandas as pd
        from ductaflow import run_instances
        print("conductor starts")
        frame = run_instances(pd.DataFrame({"n": range(3)}), "flow/step.py", workers=2)
        print(frame["status"].tolist().count("done"))
        """,
    )
    assert ended.stdout.splitlines() == ["conductor starts", "3"], ended.stderr


@pytest.mark.engines("fork", "spawn")
def test_the_parent_is_left_as_it_was(project: Project) -> None:
    """Working directory, import path, environment, threads and descriptors are the same after a sweep."""
    project.flow(
        "# %%\nimport os, sys\nprint(config['n'])\nos.environ['X_SET'] = '1'\nsys.path.append('/x')\nos.chdir('/')\n"
    )
    frame = pd.DataFrame({"n": range(4)})
    run_instances(frame[:1], "flow/step.py", workers=4)
    pool().close()

    def state() -> tuple[object, ...]:
        return (
            Path.cwd(),
            tuple(sys.path),
            dict(os.environ),
            threading.active_count(),
            len(os.listdir("/proc/self/fd")),
        )

    before = state()
    run_instances(frame, "flow/step.py", workers=4, force=True)
    pool().close()
    assert state() == before


@pytest.mark.engines("fork", "spawn", "kernel")
def test_workers_end_with_their_parent(project: Project) -> None:
    """A parent that is killed leaves no worker and no instance behind; the instance is interrupted."""
    project.flow("# %%\nimport os, time\nopen('pids', 'w').write(f'{os.getpid()} {os.getppid()}')\ntime.sleep(600)\n")
    parent = start(project)
    pids = project.root / "runs/step/x/pids"
    wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == 2, by=parent)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))
    wait_for(lambda: project.record("step", "x")["status"] == "interrupted")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_ctrl_c_interrupts_the_instance(project: Project) -> None:
    """Ctrl-C ends the conductor with three lines and the usual exit code; the record of what was running says so."""
    project.flow("# %%\nimport time\nopen('here', 'w').close()\ntime.sleep(600)\n")
    parent = start(project, stderr=subprocess.PIPE)
    wait_for((project.root / "runs/step/x/here").is_file, by=parent)
    told = interrupt(parent).splitlines()
    assert told[:2] == ["step: stopped; 0 of 1 rows done", "broken off: 1 (x); not begun: 0"]
    assert len(told) == 3
    assert project.record("step", "x")["status"] == "interrupted"


@pytest.mark.engines("fork", "spawn")
def test_two_at_once_do_not_share_a_folder(project: Project) -> None:
    """An instance that another process is executing for too long is refused with a message, not executed twice."""
    project.settings(wait=0)
    project.flow("# %%\nimport time\nopen('here', 'w').close()\ntime.sleep(600)\n")
    other = start(project, stderr=subprocess.DEVNULL)
    try:
        wait_for((project.root / "runs/step/x/here").is_file, by=other)
        with pytest.raises(InstanceBusyError, match="is being executed"):
            run_notebook("flow/step.py", {}, instance_name="x")
    finally:
        other.kill()
        other.wait()


@pytest.mark.engines("fork", "spawn", "kernel")
def test_output_floods_and_noise_do_no_harm(eventful: Ended, engine: str) -> None:
    """Megabytes, binary noise, subprocess output and progress bars end in a readable log and notebook."""
    log = eventful.record.log.read_text(encoding="utf-8")
    assert "line 19999" in log
    assert "out | from a child" in log
    assert "err | oops" in log
    (bar,) = [cell for cell in eventful.cells if "/5000" in "".join(cell["source"])]
    shown = [o["text"] for o in bar["outputs"]]
    if engine == "kernel":  # a real kernel sends what is printed in pieces, as many as its time makes of it
        assert all(re.fullmatch(r"\d+/5000", "".join(text)) for text in shown)
        shown = shown[-1:]
    assert shown == [["4999/5000"]]


@pytest.mark.slow
def test_a_real_kernel_gives_the_same(project: Project) -> None:
    """With kernel_name= a real Jupyter kernel executes; results, inputs and failures are recorded alike."""
    project.write("data.csv", "a\n1\n")
    project.flow(
        """
        # %%
        from ductaflow import project_path, save_results
        text = open(project_path("data.csv")).read()
        open("out.txt", "w").write(text)
        save_results(length=len(text))
        print("hello from a kernel")
        if config["fail"]: raise KeyError("x")
        """
    )
    record = run_notebook("flow/step.py", {"fail": False}, instance_name="x", kernel_name="python3")
    assert record.results == {"length": 4}
    assert "data.csv" in record.fingerprint["inputs"]
    assert "out.txt" in record.outputs
    assert "hello from a kernel" in record.log.read_text()
    assert run_notebook("flow/step.py", {"fail": False}, instance_name="x", kernel_name="python3").skipped
    with pytest.raises(FlowError, match="KeyError"):
        run_notebook("flow/step.py", {"fail": True}, instance_name="y", kernel_name="python3")
    assert project.record("step", "y")["error"]["cell"] == 3


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.slow
def test_many_workers_on_few_processors(project: Project, engine: str) -> None:
    """Hundreds of instances with eight workers: all done, nothing hangs, no process is left."""
    project.flow("# %%\nopen('n', 'w').write(str(config['n']))\n")
    frame = run_instances(pd.DataFrame({"n": range(COUNT[engine])}), "flow/step.py", workers=8)
    assert (frame["status"] == "done").all()
    pool().close()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "ductaflow" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.slow
def test_any_executor_will_do(project: Project) -> None:
    """A Dask client's executor runs the sweep; the state is on disk, the frame the same."""
    project.flow("# %%\nfrom ductaflow import save_results\nsave_results(twice=config['n'] * 2)\n")
    text = """
        import pandas as pd
        from distributed import Client
        from ductaflow import run_instances
        if __name__ == "__main__":
            with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
                frame = run_instances(pd.DataFrame({"n": range(4)}), "flow/step.py", executor=client.get_executor())
            print(frame["status"].tolist(), frame["result.twice"].tolist())
        """
    ended = python(project, textwrap.dedent(text))
    assert ended.stdout.splitlines() == ["['done', 'done', 'done', 'done'] [0, 2, 4, 6]"], ended.stderr


SAYS_WHAT_IT_IMPORTED = """
# %%
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.staleness.imports import imported_since
from ductaflow import save_results
save_results(names=[name for name in imported_since(current().last_import) if name.startswith("ductaflow_runtime")])
"""


def test_a_child_finds_the_runtime_imported(project: Project) -> None:
    """What every instance needs of the runtime, its worker has imported once."""
    project.flow(SAYS_WHAT_IT_IMPORTED)
    assert run_notebook("flow/step.py", {}, instance_name="x").results == {"names": []}

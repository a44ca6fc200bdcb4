"""What somebody edits while a sweep runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import load_results, plan_instances, run_instances, run_notebook
from ductaflow_runtime.conductor.conduct import conduct
from ductaflow_runtime.conductor.plan import instances_of, make_call, make_plans
from ductaflow_runtime.conductor.sweep import Sweep
from tests.conftest import Project
from tests.waiting import wait_for

FLOW = """
# %%
import time
from pathlib import Path

from ductaflow import project_path, save_results
from lib.rate import RATE

Path("started").touch()
while config["wait"] and not project_path("go").exists():
    time.sleep(0.01)

# %%
data = project_path("data.txt").read_text()
save_results(value=1, rate=RATE, data=data)
"""


@pytest.fixture
def waiting(project: Project) -> Project:
    """A project whose first row waits for a file `go`."""
    project.write("lib/__init__.py", "")
    project.write("lib/rate.py", "RATE = 1\n")
    project.write("data.txt", "old")
    project.flow(FLOW)
    return project


FRAME = pd.DataFrame({"instance_name": ["a", "b", "c"], "wait": [True, False, False]})


def run_while(project: Project, edits: dict[str, str], **options: Any) -> pd.DataFrame:
    """Run the frame one by one, and edit files while the first row runs."""

    def edit() -> None:
        wait_for(lambda: (project.root / "runs/step/a/started").exists())
        for name, text in edits.items():
            project.write(name, text)
        project.write("go", "")

    editor = threading.Thread(target=edit)
    editor.start()
    frame = run_instances(FRAME, "flow/step.py", workers=1, **options)
    editor.join()
    return frame


def test_a_sweep_runs_the_text_that_it_began_with(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """An edit of the flow reaches no row of the sweep, and all of them are said to be out of date."""
    text = (waiting.root / "flow/step.py").read_text()
    frame = run_while(waiting, {"flow/step.py": text.replace("value=1", "value=2")})
    assert frame["result.value"].tolist() == [1, 1, 1]
    told = capsys.readouterr().err
    assert "step: 3 rows are already out of date, because of what changed while the sweep ran:" in told
    assert "\n  3  code: cell 4  (a, b, c)\n" in told
    assert plan_instances(FRAME, "flow/step.py")["reason"].tolist() == ["code: cell 4"] * 3
    assert run_instances(FRAME, "flow/step.py")["result.value"].tolist() == [2, 2, 2]


def test_a_module_edited_during_a_sweep_is_told(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that ran before the edit are named, with the reason; they run again, the others do not."""
    frame = run_while(waiting, {"lib/rate.py": "RATE = 22\n"})
    assert frame["result.rate"].tolist() == [1, 22, 22]
    told = capsys.readouterr().err
    assert "\n  1  module: lib/rate.py  (a)\n" in told
    reasons = plan_instances(FRAME, "flow/step.py")["reason"].tolist()
    assert "module: lib/rate.py" in reasons[0]
    assert reasons[1:] == [None, None]


def test_the_frame_says_what_is_already_out_of_date(waiting: Project) -> None:
    """A row's status is `done`, for it was executed; its reason ends with why it must be again."""
    frame = run_while(waiting, {"lib/rate.py": "RATE = 22\n"})
    assert frame["status"].tolist() == ["done"] * 3
    assert frame["reason"].tolist() == ["new; already out of date: module: lib/rate.py", "new", "new"]
    assert run_instances(FRAME, "flow/step.py")["reason"].tolist()[1:] == [None, None]


def test_it_is_said_after_the_failures(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not up to date is the last thing that a call says."""
    path = waiting.root / "flow/step.py"
    path.write_text(path.read_text() + "assert RATE < 9 or Path.cwd().name != 'c'\n")
    run_while(waiting, {"lib/rate.py": "RATE = 22\n"}, on_error="continue")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-3:] == [
        "step: 1 row is already out of date, because of what changed while the sweep ran:",
        "  1  module: lib/rate.py  (a)",
        "  run the conductor again to execute them as things are now",
    ]


READER = """
# %%
from ductaflow import instance_path, save_results

save_results(rate=instance_path("step", config["of"], "rate.txt").read_text())
"""


def test_the_next_step_says_what_it_rests_on(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """So do the step after that, single instances, once, and `load_results`, until the rows are executed again."""
    path = waiting.root / "flow/step.py"
    path.write_text(path.read_text() + 'Path("rate.txt").write_text(str(RATE))\n')
    waiting.flow(READER, "flow/reader.py")
    rows = pd.DataFrame({"instance_name": ["x", "y"], "of": ["a", "b"]})
    run_while(waiting, {"lib/rate.py": "RATE = 22\n"})
    capsys.readouterr()
    cause = "reads step/a, which is not up to date: module: lib/rate.py"
    for reason in ("new; ", ""):
        assert run_instances(rows, "flow/reader.py")["reason"].tolist()[0] == reason + cause
        assert capsys.readouterr().err.splitlines()[-3:] == [
            "reader: 1 row rests on results that are not up to date:",
            f"  1  {cause}  (x)",
            "  run the conductor again to execute them as things are now",
        ]
    for name in ("one", "two"):
        run_notebook("flow/reader.py", {"of": "a"}, instance_name=name, step_name="single")
    assert capsys.readouterr().err.count("rests on results that are not up to date") == 1
    for step, which in (("step", "a"), ("reader", "x"), ("single", "one, two")):
        with pytest.warns(
            UserWarning, match=f"results of {step} include .* not up to date: {which} \\(`ductaflow status"
        ):
            load_results(step)
    run_instances(FRAME, "flow/step.py")
    frame = run_instances(rows, "flow/reader.py")
    assert frame["reason"].tolist() == ["input: runs/step/a/rate.txt", None]
    assert "not up to date" not in capsys.readouterr().err
    load_results("step"), load_results("reader")


CONDUCTOR = """
import threading
from pathlib import Path

import pandas as pd

from ductaflow import run_instances
from tests.waiting import wait_for


def edit():
    wait_for(Path("runs/step/a/started").exists)
    Path("lib/rate.py").write_text("RATE = 22\\n")
    Path("go").touch()


threading.Thread(target=edit).start()
frame = pd.DataFrame({"instance_name": ["a", "b"], "wait": [True, False]})
run_instances(frame, "flow/step.py", workers=1)
print("on we go", flush=True)
"""


def test_a_conductor_ends_with_it(waiting: Project) -> None:
    """The last line of the process counts the rows that are not up to date, whatever came in between."""
    waiting.write("conductor.py", CONDUCTOR)
    told = subprocess.run(
        [sys.executable, "conductor.py"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines()[-2:] == [
        "on we go",
        "rows that are not up to date as this ends: 1 of step; "
        "run the conductor again to execute them as things are now",
    ]


def test_a_comment_edited_during_a_sweep(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is out of date because of it, not even the row that ran at that moment."""
    run_while(waiting, {"lib/rate.py": "# the rate\nRATE = 1\n"})
    assert "out of date" not in capsys.readouterr().err
    assert plan_instances(FRAME, "flow/step.py")["reason"].tolist() == [None, None, None]


def test_data_edited_during_a_sweep_is_told(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for a file that the rows read."""
    run_instances(FRAME.query("instance_name == 'b'"), "flow/step.py")
    frame = run_while(waiting, {"data.txt": "new"})
    assert frame["result.data"].tolist() == ["new", "old", "new"]
    assert "already out of date" in capsys.readouterr().err


def test_a_flow_deleted_during_a_sweep(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows run; what is gone is said."""
    path = waiting.root / "flow/step.py"
    text = path.read_text()
    call = make_call("flow/step.py")
    plans = make_plans(call, instances_of(FRAME[1:], call))
    path.unlink()
    assert [str(outcome.status) for outcome in conduct(call, plans, Sweep(1, []))] == ["done", "done"]
    path.write_text(text)
    assert plan_instances(FRAME[1:], "flow/step.py")["reason"].tolist() == [None, None]


def test_new_text_meets_the_outputs_of_its_own_code_only(waiting: Project) -> None:
    """A flow whose code is edited between plan and refresh does not lend its new code to old outputs."""
    path = waiting.root / "flow/step.py"
    run_instances(FRAME[1:], "flow/step.py")
    path.write_text(path.read_text().replace("import time", "# waits\nimport time"))
    call = make_call("flow/step.py")
    plans = make_plans(call, instances_of(FRAME[1:], call))
    path.write_text(path.read_text().replace("value=1", "value=2"))
    assert [str(outcome.status) for outcome in conduct(call, plans, Sweep(1, []))] == ["refreshed"] * 2
    assert plan_instances(FRAME[1:], "flow/step.py")["reason"].tolist() == ["code: cell 4"] * 2


def test_a_quiet_sweep_says_nothing(waiting: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was edited, so nothing is out of date."""
    run_instances(FRAME[1:], "flow/step.py")
    assert "out of date" not in capsys.readouterr().err

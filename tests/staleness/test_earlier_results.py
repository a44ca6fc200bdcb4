"""Results that were computed before: when one is brought back, when it is not, and which are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import plan_instances, run_instances, run_notebook
from ductaflow_runtime.conductor.earlier_results import bring_back_all
from ductaflow_runtime.conductor.plan import instances_of, make_call, make_plans
from ductaflow_runtime.conductor.rehearsal import rehearsing
from ductaflow_runtime.runs import previous
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.staleness.outside import Outside
from ductaflow_runtime.staleness.places import Places
from ductaflow_runtime.staleness.prune import plan_removal, remove
from tests.cli.test_commands import call, section
from tests.conftest import Project

FLOW = """
    from pathlib import Path
    from ductaflow import save_results
    x, does = config["x"], config.get("does")
    if does == "fails at 3" and x == 3:
        raise ValueError(x)
    if does == "writes elsewhere":
        Path("../../..", "shared" + ".txt").write_text(str(x))
    if does == "links":
        Path("elsewhere").symlink_to("../../../data")
    Path(f"of_{x}.txt").write_text(str(x) * config.get("size", 1))
    Path("out.txt").write_text(str(x))
    save_results(y=2 * x)
    """
KEPT = Path("runs/.ductaflow/kept/step")


def rows(x: int, *does: str, **more: object) -> pd.DataFrame:
    """A row for each thing that a flow may do, named by it."""
    return pd.DataFrame([{"instance_name": name.replace(" ", "-"), "x": x, "does": name, **more} for name in does])


def run(x: int, *does: str, force: bool = False, **more: object) -> dict[str, str]:
    """Run the rows and give their statuses, after a look at whether the plan and the records say the same."""
    frame = rows(x, *does, **more)
    planned = plan_instances(frame, "flow/step.py", force=force)["reason"].tolist()
    done = run_instances(frame, "flow/step.py", on_error="continue", force=force)
    assert done["reason"].tolist() == planned
    good = done["status"] != "failed"
    assert [*done["result.y"][good]] == [2 * x] * sum(good)
    for name, status, reason in done[good][["instance_name", "status", "reason"]].itertuples(index=False):
        folder = Path("runs/step", name)
        assert (folder / "out.txt").read_text() == str(x), name
        assert [path.name for path in folder.glob("of_*.txt")] == [f"of_{x}.txt"], name
        assert json.loads((folder / "config.json").read_text())["x"] == x
        back = json.loads((folder / "run.json").read_text())["brought_back"]
        assert back is None if status == "done" else back or not reason, name
    return dict(zip(done["instance_name"], done["status"], strict=True))


def executions(name: str = "plain") -> list[str]:
    """When the kept results of an instance were executed, oldest first."""
    return sorted(path.name for path in (KEPT / name).iterdir() if not path.name.startswith("."))


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_value_that_was_there_before_executes_nothing(project: Project) -> None:
    """Its result takes its place again, whole, each time.

    Not that of a flow that writes elsewhere or leaves a link: what lies there would be another's.
    """
    project.flow(FLOW)
    does = ("plain", "writes elsewhere", "links")
    for x in (2, 3):
        assert set(run(x, *does).values()) == {"done"}
    assert project.record("step", "plain")["outside"] == []
    assert project.record("step", "writes-elsewhere")["outside"] == ["writes shared.txt"]
    before = project.record("step", "plain")
    assert run(2, *does) == {"plain": "up to date", "writes-elsewhere": "done", "links": "done"}
    assert project.notebook("step", "plain")["cells"]
    assert run(2, *does) == dict.fromkeys(["plain", "writes-elsewhere", "links"], "up to date")
    assert run(3, "plain") == {"plain": "up to date"}
    again = project.record("step", "plain")
    assert again == before | {"brought_back": again["brought_back"]}
    assert len(executions()) == 1


def test_files_of_others_in_the_folder(project: Project) -> None:
    """The flow may have read them, which nobody notes: it is executed, and they stay."""
    project.flow(FLOW)
    for x in (2, 3):
        run(x, "plain")
    Path("runs/step/plain/notes.md").write_text("mine")
    assert run(2, "plain") == {"plain": "done"}
    assert Path("runs/step/plain/notes.md").read_text() == "mine"


def test_without_earlier_results_none_is_brought_back(project: Project) -> None:
    """`keep = 0`: also not what is kept until the next success."""
    project.settings(keep=0)
    project.flow(FLOW)
    for x, status in ((2, "done"), (3, "failed"), (2, "done")):
        assert run(x, "fails at 3") == {"fails-at-3": status}


def test_a_deleted_folder_is_computed_anew(project: Project) -> None:
    """Also where a good result from before is kept until the next success."""
    project.flow(FLOW)
    for x in (2, 3):
        run(x, "fails at 3")
    shutil.rmtree("runs/step/fails-at-3")
    for x, status in ((3, "failed"), (2, "done")):
        assert run(x, "fails at 3") == {"fails-at-3": status}


DOES = {
    "open('a.txt', 'w').write('x')": [],
    "import tempfile; tempfile.TemporaryFile().write(b'x')": [],
    "import os; os.makedirs('m/n'); os.rename('m/n', 'm/o'); os.removedirs('m/o')": [],
    "import sqlite3; sqlite3.connect('own.db').execute('create table t (x)')": [],
    "import sqlite3; sqlite3.connect('../../../data/in.db').execute('select 1')": [],  # looked at as an input
    "import sqlite3; sqlite3.connect('../../../data/new.db').execute('create table t (x)')": ["writes data/new.db"],
    "open('../../../log.txt', 'a').write('x')": ["writes log.txt"],
    "import os; os.mkdir('../../../made')": ["writes made"],
    "import os; os.remove('../../../data/x.txt')": ["writes data/x.txt"],
    "import os; os.symlink('../../../data', 'd'); open('d/y.txt', 'w')": ["writes data/y.txt"],
    "import subprocess; subprocess.run(['true'])": ["starts another program"],
    "import multiprocessing.util as m, os; os.waitpid(m.spawnv_passfds(b'/bin/true', [b'true'], ()), 0)": [
        "starts another program"
    ],
    "import multiprocessing.util as m; m.spawnv_passfds(b'/bin/sleep', [b'sleep', b'9'], ())": [
        "starts another program"
    ],
    "import socket; socket.socket(socket.AF_UNIX).connect_ex('none')": ["connects to another program"],
    "from ductaflow import project_path; import pandas as pd; "
    "pd.DataFrame({'a': [1]}).to_parquet(project_path('a' + '.parquet'))": ["writes a.parquet"],
}


def test_what_counts_as_a_change_elsewhere(project: Project) -> None:
    """What a flow does in its own folder, with temporary files and with its inputs is none."""
    project.flow("exec(config['code'])")
    project.settings(ignore=["data/new.db"])
    for name in ("data/x.txt", "data/in.db"):
        project.write(name, "")
    names = [str(number) for number in range(len(DOES))]
    run_instances(pd.DataFrame({"instance_name": names, "code": [*DOES]}), "flow/step.py")
    told = {code: project.record("step", name)["outside"] for name, code in zip(names, DOES, strict=True)}
    assert told == DOES


def test_a_project_may_lie_in_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its flows write there are no packages; those of an environment in the project are."""
    places = Places(str(project.root), str(project.root / "runs/step/a"), "")
    for prefix, told in ((project.root.parent, ["writes made"]), (project.root / "env", [])):
        monkeypatch.setattr("sys.prefix", str(prefix))
        outside = Outside(str(project.root), places.own, "")
        outside.note("os.mkdir", (str(project.root / ("made" if told else "env/made")), 0o777, -1), places)
        assert outside.changed([]) == told


def test_what_is_wanted_anew_is_executed(project: Project) -> None:
    """A forced run and a folder that was deleted say so; a failure in between does not.

    Nor is taken what is not whole any more, what is another row's, and what nobody watched for changes elsewhere.
    """
    project.flow(FLOW)
    does = ("plain", "forced", "deleted", "damaged", "former", "fails at 3")
    run(2, *does)
    assert run(3, *does)["fails-at-3"] == "failed"
    run(3, "forced", force=True)
    shutil.rmtree("runs/step/deleted")
    run(3, "deleted")
    (KEPT / "damaged" / executions("damaged")[0] / "out.txt").write_text("4")
    record = KEPT / "former" / executions("former")[0] / "run.json"
    told = json.loads(record.read_text())
    del told["outside"], told["brought_back"]  # as ductaflow 0.1.0 wrote it
    record.write_text(json.dumps(told))
    assert not (KEPT / "fails-at-3").exists(), "the last good result is among the previous ones"
    done = run(2, *does)
    idle = dict.fromkeys(["plain", "fails-at-3"], "up to date")
    assert done == {name.replace(" ", "-"): "done" for name in does} | idle
    assert not Path("runs/.ductaflow/previous/step/fails-at-3").exists()
    assert run(3, "forced", "deleted") == {"forced": "up to date", "deleted": "up to date"}, "those are the newest"
    assert run(2, "renamed") == {"renamed": "done"}, "a result is of its row's name"


def test_an_edited_output_and_a_failure_of_the_same_execute(project: Project) -> None:
    """Although an equal result is kept: somebody wants to see it done again."""
    project.flow(FLOW)
    for x in (2, 3, 2):
        run(x, "plain")
    folder = Path("runs/step/plain")
    first = project.record("step", "plain")["started"]
    run(2, "plain", force=True)
    (folder / "out.txt").write_text("by hand")
    assert run(2, "plain") == {"plain": "done"}
    (folder / "of_2.txt").unlink()
    assert run(2, "plain") == {"plain": "done"}
    record = project.record("step", "plain")
    (folder / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    assert run(2, "plain") == {"plain": "done"}
    assert project.record("step", "plain")["started"] > record["started"] > first


def test_as_many_and_as_large_as_the_settings_say(project: Project) -> None:
    """The oldest go first; with 0 none are kept, and those that are there go."""
    project.flow(FLOW)
    project.settings(keep=1)
    started = []
    for x in (1, 2, 3):
        run(x, "plain")
        started.append(project.record("step", "plain")["started"])
    assert [name[:8] for name in executions()] == [started[1][:10].replace("-", "")]
    assert run(1, "plain") == {"plain": "done"}
    assert run(3, "plain") == {"plain": "up to date"}
    project.settings(keep=9, keep_size="1 MB")
    for x in (4, 5, 6, 7):
        run(x, "plain", "large", size=400_000)
    assert sum(len(executions(name)) for name in ("plain", "large")) == 2
    assert run(6, "plain", "large", size=400_000) == {"plain": "up to date", "large": "up to date"}
    run(8, "plain", size=1_200_000)
    run(9, "plain")
    assert run(8, "plain", size=1_200_000) == {"plain": "done"}, "it was too large to be kept"
    project.settings(keep=0)
    run(10, "large")
    assert not KEPT.parent.exists()


def test_another_process_may_be_faster(project: Project) -> None:
    """Who holds the instance has it; what has become of it since it was planned counts, and nothing is lost."""
    project.flow(FLOW)
    project.settings(wait=0)
    for x in (2, 3):
        run(x, "plain")
    before = project.record("step", "plain")
    with locked(Path("runs/step/plain").absolute()):
        (row,) = run_instances(rows(2, "plain"), "flow/step.py", on_error="continue").itertuples()
        assert (row.status, row.error.partition(":")[0]) == ("failed", "InstanceBusyError")
    assert project.record("step", "plain") == before
    one = make_call("flow/step.py")
    plans = make_plans(one, instances_of(rows(2, "plain"), one))
    assert plans[0].back is not None
    run(4, "plain")
    (plan,) = bring_back_all(one, plans, one.present())
    assert (plan.reason, plan.back) == ("config: x 3 -> 2", None)
    assert run(2, "plain") == {"plain": "up to date"}


def test_status_plan_and_the_next_step_know(project: Project) -> None:
    """Where old code is back `status` says what the conductor will do; in a plan of all steps, readers wait."""
    project.flow(FLOW)
    read = "from ductaflow import instance_path\nprint(instance_path('step', 'plain', 'out.txt').read_text())"
    project.flow(read, "flow/next.py")
    text = Path("flow/step.py").read_text()

    def conduct(x: int) -> str:
        frame = run_instances(rows(x, "plain"), "flow/step.py")
        run_notebook("flow/next.py", {}, instance_name="one")
        return str(frame["status"].iloc[0])

    for x, more in ((2, ""), (2, "\nprint(1)\n"), (3, "\nprint(1)\n")):
        Path("flow/step.py").write_text(text + more)
        assert conduct(x) == "done"
    Path("flow/step.py").write_text(text)
    run(3, "plain")
    Path("flow/step.py").write_text(text + "\nprint(1)\n")
    told = call("status")
    assert "1  code: cell 2  (step/plain)" in section(told, "No longer up to date")
    (line,) = section(told, "Not executed again, for an earlier result fits")
    assert line.startswith("1  result of ")
    assert line.endswith(" brought back: same config, code, inputs and packages  (step/plain)")
    with rehearsing() as rehearsal:
        run_instances(rows(3, "plain"), "flow/step.py")
        run_notebook("flow/next.py", {}, instance_name="one")
    (step,), (after,) = rehearsal.steps.values()
    assert (step.reason, step.back is not None) == (None, True)
    assert (after.reason, after.waits) == (None, ("step/plain",))
    assert conduct(3) == "up to date"
    assert "Not executed again" not in call("status")


def test_log_and_restore(project: Project) -> None:
    """`ductaflow log` tells of the executions that are still there, `ductaflow restore` brings one back as it is."""
    project.flow(FLOW)
    project.settings(keep=5)
    run_notebook("flow/step.py", {"x": 2}, instance_name="plain")
    Path("flow/step.py").write_text(Path("flow/step.py").read_text() + "\nsave_results(z=1)\n")
    for x in (2, 3):
        run_notebook("flow/step.py", {"x": x}, instance_name="plain")
    told = call("log", "step/plain").splitlines()
    assert told == call("log", "runs/step/plain").splitlines()
    assert told[0].startswith("step/plain: 3 executions, newest first; * is the one in ")
    assert [line[:4] for line in told if not line.startswith("      ")][1:] == ["* 1 ", "  2 ", "  3 "]
    body = [line.strip() for line in told]
    assert "executed because: config: x 2 -> 3" in body
    assert "results: y = 6; z = 1" in body
    assert "other than in 2: config: x 2 -> 3; result: y 4 -> 6" in body
    assert body[8] == "other than in 3: code: cell 2; result: z added (1)"
    assert body[-1] == "results: y = 4"
    assert "deleted" not in call("restore", "step/plain", "3", answer="n\n", code=1)
    assert project.record("step", "plain")["results"]["y"] == 6
    assert "is back, not up to date: code: cell 2" in call("restore", "step/plain", "3", "--yes")
    assert project.record("step", "plain")["results"] == {"y": 4}
    assert Path("runs/step/plain/of_2.txt").exists()
    assert not Path("runs/step/plain/of_3.txt").exists()
    assert "  2 " in call("log", "step/plain"), "all three are there"
    assert call("log", "step/plain").count("executed because") == 3
    assert "is the one that is in" in call("restore", "step/plain", "3", "--yes", code=2)
    for wrong in ("9", "1999"):
        assert f"no execution has the number or time {wrong!r}" in call("restore", "step/plain", wrong, code=2)
    assert "several executions have" in call("restore", "step/plain", "20", "--yes", code=2)
    assert "no instance plan of step" in call("log", "step/plan", code=2)
    assert "names no instance" in call("log", "plain", code=2)
    assert run_notebook("flow/step.py", {"x": 3}, instance_name="plain").skipped
    shutil.rmtree("runs/step/plain")
    assert "up to date" in call("restore", "step/plain", "2", "--yes")
    remove(plan_removal(project.root / "runs", "step", "plain"))
    assert not (KEPT / "plain").exists(), "what is pruned is gone"


def test_a_kill_while_making_room_leaves_nothing_behind(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link and the log of an attempt that the execution before had left are cleared away by the next one."""
    project.write("data/x.txt", "")
    project.flow("""
    from pathlib import Path
    from ductaflow import save_results
    save_results(y=2 * config["x"])
    tried = Path("../../../data/tried")
    if config["x"] == 3:
        Path("elsewhere").symlink_to("../../../data")
        if not tried.exists():
            tried.write_text("")
            raise ValueError
    """)

    def conduct(x: int) -> str:
        frame = rows(x, "plain").drop(columns="does")
        return str(run_instances(frame, "flow/step.py", retries=1)["status"].iloc[0])

    def kill(*_: object) -> None:
        raise SystemExit

    assert [conduct(2), conduct(3)] == ["done", "done"]
    folder = Path("runs/step/plain")
    assert {"elsewhere", "run.attempt-1.log"} <= {path.name for path in folder.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(previous, "_remove", kill)
        with pytest.raises(SystemExit):
            conduct(2)
    assert project.record("step", "plain")["status"] == "running"
    assert {"elsewhere", "run.attempt-1.log"} <= {path.name for path in folder.iterdir()}
    assert conduct(3) == "done"
    assert conduct(2) == "up to date"
    assert {path.name for path in folder.iterdir()} == {"config.json", "run.json", "run.log", "step.ipynb"}
    assert not Path("runs/.ductaflow/edited").exists()


def test_a_result_is_brought_back_whole_or_not_at_all(project: Project) -> None:
    """Not without its config, notebook or log; nor where an empty folder would be missing, or an attempt of the same
    call has written elsewhere."""
    project.write("data/x.txt", "")
    project.flow("""
    from pathlib import Path
    from ductaflow import save_results
    does, tried = config["does"], Path(f"../../../data/tried_{config['x']}")
    if does == "empty":
        Path("plots", "all").mkdir(parents=True)
    if does == "again" and not tried.exists():
        tried.write_text("")
        raise ValueError
    save_results(y=2 * config["x"])
    """)
    lost = {"config": "config.json", "notebook": "step.ipynb", "log": "run.log"}

    def conduct(x: int) -> dict[str, str]:
        done = run_instances(rows(x, "whole", "empty", "again", *lost), "flow/step.py", retries=1)
        return dict(zip(done["instance_name"], done["status"], strict=True))

    for x in (2, 3):
        assert set(conduct(x).values()) == {"done"}
    assert project.record("step", "empty")["outside"] is None
    assert project.record("step", "again")["outside"] == ["writes data/tried_3"]
    for name, file in lost.items():
        (KEPT / name / executions(name)[0] / file).unlink()
    assert conduct(2) == dict.fromkeys(["whole", "empty", "again", *lost], "done") | {"whole": "up to date"}
    assert all(Path("runs/step", name, file).exists() for name, file in lost.items())

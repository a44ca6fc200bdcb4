"""Stores of other tools inside the project: files that a flow reads and writes, and the setting for them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ductaflow import ProjectError, plan_instances, run_instances, run_notebook
from ductaflow_runtime.staleness.ignored import is_ignored, pattern_for
from tests.conftest import Project

DATABASE = """
# %%
import sqlite3
from ductaflow import project_path
with sqlite3.connect(project_path("{file}")) as database:
    database.execute("create table if not exists runs (n integer)")
    database.execute("insert into runs select count(*) from runs")
database.close()
"""
STORE = """
# %%
from ductaflow import project_path
store = project_path("mlruns", "0")
names = sorted(path.name for path in store.iterdir())
(store / f"run_{len(names)}").write_text("begun")
counter = project_path("mlruns", "counter.txt")
counter.write_text(str(int(counter.read_text()) + 1))
"""
ADVICE = (
    'changed during the last two executions: if the flow itself writes it, set ignore = ["{}"] under [tool.ductaflow])'
)
ONE = pd.DataFrame({"instance_name": ["one"]})


def plan(flow: str = "flow/step.py") -> str | None:
    return plan_instances(ONE, flow)["reason"].tolist()[0]


def begin(project: Project, body: str) -> None:
    """A flow, its store as some earlier use has left it, and one run."""
    project.flow(body)
    project.write("mlruns/counter.txt", "5")
    project.write("mlruns/0/meta.yaml", "id: 0")
    project.write("runs.db", "")
    run_instances(ONE, "flow/step.py")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_file_that_a_flow_reads_and_writes_makes_it_run_again(project: Project) -> None:
    """Nobody knows whether it is an input, so it counts; after the second time the reason says what to write."""
    begin(project, DATABASE.format(file="runs.db"))
    once = "input: runs.db (it changed during the last execution)"
    assert plan() == once
    twice = f"input: runs.db (it {ADVICE.format('runs.db')}"
    assert run_instances(ONE, "flow/step.py")["reason"].tolist() == [f"{once}; already out of date: {twice}"]
    assert plan() == twice


def test_what_the_reason_says_helps(project: Project) -> None:
    """With the setting as the reason gives it, what has run is up to date, and nothing is executed for it."""
    begin(project, DATABASE.format(file="runs.db"))
    project.settings(ignore=["runs.db"])
    assert plan() is None
    assert run_notebook("flow/step.py", instance_name="one").skipped
    project.settings()
    assert plan() == "input: runs.db (it changed during the last execution)"


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_whole_store_is_named_at_once(project: Project) -> None:
    """Files and lists of files in a store of many files get one pattern, which leaves them all out."""
    begin(project, STORE)
    run_instances(ONE, "flow/step.py", force=True)
    advice = ADVICE.format("mlruns/**")
    assert plan() == f"input: mlruns/counter.txt (it {advice}; input: mlruns/0/ (its list of files, which {advice}"
    project.settings(ignore=["mlruns/**"])
    assert plan() is None


def test_nothing_is_said_of_a_file_that_changed_once(project: Project) -> None:
    """Somebody edits an input while the flow reads it, in one of two executions: an accident, not a store."""
    project.write("data.txt", "1")
    project.write("edit.txt", "yes")
    project.flow("""
        from ductaflow import project_path
        text = project_path("data.txt").read_text()
        if project_path("edit.txt").read_text() == "yes":
            project_path("data.txt").write_text(text + "1")
        """)
    run_instances(ONE, "flow/step.py")
    project.write("edit.txt", "no")
    run_instances(ONE, "flow/step.py")
    assert plan() is None
    project.write("edit.txt", "yes")
    run_instances(ONE, "flow/step.py")
    assert plan() == "input: data.txt (it changed during the last execution)"


def test_other_inputs_count_as_before(project: Project) -> None:
    """A pattern leaves out what it names and nothing beside it."""
    project.settings(ignore=["store/*.db"])
    for name in ("store/a.db", "store/deep/a.db", "a.db"):
        project.write(name, "1")
    project.flow("""
        from ductaflow import project_path
        for name in ("store/a.db", "store/deep/a.db", "a.db"):
            project_path(name).read_text()
        """)
    run_instances(ONE, "flow/step.py")
    for name, reason in {"store/a.db": None, "store/deep/a.db": "input: store/deep/a.db"}.items():
        project.write(name, "2")
        assert plan() == reason


def test_results_of_other_instances_are_never_ignored(project: Project) -> None:
    """A pattern that covers the folder of results does not break a chain of steps."""
    project.settings(ignore=["runs/**", "**/out.txt"])
    project.write("data.txt", "1")
    up = 'from ductaflow import project_path\nopen("out.txt", "w").write(project_path("data.txt").read_text())\n'
    down = 'from ductaflow import instance_path\ninstance_path("up", "one", "out.txt").read_text()\n'
    project.flow(up, "flow/up.py")
    project.flow(down)
    run_instances(ONE, "flow/up.py")
    run_instances(ONE, "flow/step.py")
    project.write("data.txt", "2")
    run_instances(ONE, "flow/up.py")
    assert plan() == "input: runs/up/one/out.txt"


def test_a_flow_that_writes_among_the_results_is_told_otherwise(project: Project) -> None:
    """There the setting would not help, so the reason does not name it."""
    project.write("runs/shared.txt", "1")
    project.flow("""
        from ductaflow import project_path
        shared = project_path("runs", "shared.txt")
        shared.write_text(shared.read_text() + "1")
        """)
    for _ in range(2):
        run_instances(ONE, "flow/step.py")
    assert plan() == (
        "input: runs/shared.txt (it changed during the last two executions: "
        "if the flow itself writes it, it belongs in the instance's own folder)"
    )


@pytest.mark.parametrize("value", ["mlruns", [1], [""], {"mlruns": True}])
def test_a_wrong_setting_is_refused(project: Project, value: object) -> None:
    """The message says what the setting is."""
    pyproject = Path("pyproject.toml")
    shown = {str: '"mlruns"', dict: "{mlruns = true}"}.get(type(value), str(value).replace("'", '"'))
    pyproject.write_text(pyproject.read_text(encoding="utf-8") + f"ignore = {shown}\n", encoding="utf-8")
    project.flow("# %%\nprint(1)\n")
    with pytest.raises(ProjectError, match=r'ignore must be a list of paths from the project root, such as \["mlruns'):
        run_notebook("flow/step.py")


@pytest.mark.parametrize(
    ("pattern", "named", "not_named"),
    [
        ("mlruns/**", ["mlruns/", "mlruns/a", "mlruns/a/b/c.yaml"], ["mlruns2/a", "sub/mlruns/a", "mlrun"]),
        ("mlruns/", ["mlruns/", "mlruns/a/b"], ["sub/mlruns/a"]),
        ("**/mlruns/**", ["mlruns/a", "sub/mlruns/a"], ["sub/mlruns2/a"]),
        ("*.db", ["runs.db", "runs.db-wal"], ["data/runs.db", "runs.dbx"]),
        ("**/*.db", ["runs.db", "data/deep/runs.db"], ["runs.db/a"]),
        ("./data/run?.db", ["data/run1.db"], ["data/run12.db", "data/run/.db"]),
        ("data", ["data"], ["data/links.csv", "data2"]),
        ("data/[[]a].db", ["data/[a].db"], ["data/a.db"]),
        ("/shared/mlruns/**", ["/shared/mlruns/a"], ["shared/mlruns/a"]),
    ],
)
def test_what_a_pattern_names(pattern: str, named: list[str], not_named: list[str]) -> None:
    """Patterns are whole paths from the project root; only `**` crosses folders."""
    assert [path for path in named if not is_ignored(path, (pattern,), "runs")] == []
    assert [path for path in not_named if is_ignored(path, (pattern,), "runs")] == []


def test_what_is_always_ignored() -> None:
    """DVC's cache is named by content, and its scratch folder holds no data; no other store is left out unasked."""
    assert all(is_ignored(path, (), "runs") for path in (".dvc/cache/files/md5/0a/b", "sub/.dvc/tmp/lock"))
    kept = (
        ".dvc/config",
        "data.csv.dvc",
        "dvc.lock",
        "mlruns/0/meta.yaml",
        "lightning_logs/",
        "optuna.db",
        ".dvcx/tmp/a",
    )
    assert not any(is_ignored(path, (), "runs") for path in kept)


@pytest.mark.parametrize("path", ["runs.db", "data/[a].db", "mlruns/0/x/meta.yaml", "ml/lightning_logs/", "data/zones/",
                                  "/shared/a.db", "runs.db-wal"])  # fmt: skip
def test_the_pattern_of_the_advice_names_its_file(path: str) -> None:
    """What a reason tells to write leaves out the input that it is told for."""
    assert is_ignored(path, (pattern_for(path),), "results")

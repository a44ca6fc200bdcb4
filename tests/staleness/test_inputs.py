"""Changes of inputs: CSV, parquet, SQLite and numpy files, folders, and other instances' outputs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.staleness.cases import Case, check, each, parameters
from tests.staleness.sample import KINDS, WAYS, Sample, write_data
from tests.staleness.test_tracking import plan, run


def data(name: str) -> Callable[[Sample], None]:
    """Other numbers in a data file."""
    return lambda sample: write_data(sample.root / "data" / name, [7, 5])


def inputs(kind: str, way: str) -> Case:
    ending = KINDS[kind]
    if way == "literal":
        return Case(f"{kind} by literal", data(f"literal.{ending}"), {"literal/all": f"input: data/literal.{ending}"})
    name = f"{kind}_{way}"
    seen = {f"read/{name}": f"input: data/{name}.{ending}"}
    # Arrow opens files natively, so a path that only the flow's code puts together stays unseen.
    return Case(f"{kind} by {way}", data(f"{name}.{ending}"), {} if name == "parquet_computed" else seen)


def touch_all(sample: Sample) -> None:
    for path in (sample.root / "data").rglob("*"):
        os.utime(path)


def rewrite_same(sample: Sample) -> None:
    for path in (sample.root / "data").rglob("*.csv"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)


def gone_and_back(sample: Sample) -> None:
    path = sample.root / "data/a.csv"
    content = path.read_bytes()
    path.unlink()
    sample.plan("cost")
    path.write_bytes(content)


def append(sample: Sample) -> None:
    with (sample.root / "data/b.csv").open("a") as file:
        file.write("9\n")


def same_size_same_second(sample: Sample) -> None:
    path = sample.root / "data/b.csv"
    path.write_text(path.read_text().replace("2", "8"))


def remove(name: str) -> Callable[[Sample], None]:
    return lambda sample: (sample.root / name).unlink()


B = {"cost/b": "input: data/b.csv", "sum/b": "input: runs/cost/b/cost.csv"}
LISTED = {"folder/all": "input: data/zones/ (its list of files)"}

CASES = [
    *(inputs(kind, way) for kind in KINDS for way in ("literal", *WAYS)),
    Case("all data touched", touch_all),
    Case("rewritten with the same bytes", rewrite_same),
    Case("deleted and put back", gone_and_back),
    Case("rows appended", append, B),
    Case("same size", same_size_same_second, B),
    Case("shared by two", data("a.csv"), each(("cost/a", "cost/c", "second/a"), "input: data/a.csv")
         | {"sum/a": "input: runs/cost/a/cost.csv"}),
    Case("folder gained a file", data("zones/three.csv"), LISTED),
    Case("folder lost a file", remove("data/zones/two.csv"), LISTED),
    Case("listed file changed, not read", data("zones/one.csv")),
    Case("hidden file in a folder", lambda sample: sample.write("data/zones/.keep", "")),
    Case("unread file added", data("new.csv")),
    Case("file that was looked for", data("extra.csv"), {"folder/all": "input: data/extra.csv (was not there)"}),
    Case("default config of the script", lambda sample: sample.write("config/base.json", "{}")),
]  # fmt: skip


@pytest.mark.parametrize("case", parameters(CASES))
def test_inputs(sample: Sample, case: Case) -> None:
    """A changed file executes exactly its readers; a touched one nobody; the reason names the path."""
    check(sample, case)


def break_cost(sample: Sample, name: str) -> None:
    (sample.root.parent / f"broken_{name}").touch()


def upstream_fails(sample: Sample) -> None:
    break_cost(sample, "a")
    sample.row("cost", "a")["year"] = 2021


def upstream_cut_down(sample: Sample) -> None:
    shutil.rmtree(sample.folder("cost/a"))
    del sample.rows["cost"]


def upstream_damaged(sample: Sample) -> None:
    (sample.folder("cost/a") / "run.json").write_text("{")
    (sample.folder("cost/a") / "cost.csv").unlink()
    del sample.rows["cost"]


def force_upstream(sample: Sample) -> None:
    sample.run("cost", force=True)


MISSING = "input missing: runs/cost/a/cost.csv"
CHAINS = [
    Case("upstream to the same bytes", force_upstream),
    Case("upstream edited", lambda sample: sample.edit("runs/cost/a/cost.csv", "7", "8"),
         {"cost/a": "output changed: cost.csv"}),
    Case("upstream output deleted", remove("runs/cost/a/cost.csv"), {"cost/a": "output missing: cost.csv"}),
    Case("upstream deleted and run", lambda sample: shutil.rmtree(sample.folder("cost/a")), {"cost/a": "new"}),
    Case(
        "upstream failed",
        upstream_fails,
        {"cost/a": "config: year 2020 -> 2021", "sum/a": f"{MISSING} (cost/a: failed)"},
        later={"cost/a": "failed", "sum/a": "failed"},
    ),
    Case(
        "upstream deleted and not run",
        upstream_cut_down,
        {"sum/a": f"{MISSING} (cost/a was removed)"},
        later={"sum/a": "failed"},
    ),
    Case(
        "upstream record damaged",
        upstream_damaged,
        {"sum/a": f"{MISSING} (the record of cost/a is damaged)"},
        later={"sum/a": "failed"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", parameters(CHAINS))
def test_chains(sample: Sample, case: Case) -> None:
    """A step that reads another's outputs runs again when their content changes, and only then."""
    check(sample, case)


def test_a_plan_downstream_before_upstream_has_run(sample: Sample) -> None:
    """What reads a missing output is stale until upstream has written the same bytes again."""
    shutil.rmtree(sample.folder("cost/a"))
    assert sample.plan("sum") == {"sum/a": f"{MISSING} (cost/a was removed)"}
    sample.run("cost")
    assert sample.plan("sum") == {}


def test_a_failed_reader_runs_when_its_input_is_there(sample: Sample) -> None:
    """A flow that failed for want of a file is planned with the file that has come since."""
    (sample.root / "data/b.csv").unlink()
    assert sample.plan("cost") == {"cost/b": "input missing: data/b.csv"}
    assert sample.run("cost")["error"][1].startswith("FileNotFoundError")
    write_data(sample.root / "data/b.csv", [1, 3])
    assert sample.plan("cost") == {"cost/b": "failed; input: data/b.csv (was not there)"}
    sample.run("cost")
    assert sample.plan("cost") == {}


DURING = " (it changed during the last execution)"
# What a flow does with its file `a`, which is there, or with `new`, which is not; and whether its record then says so.
MEANWHILE = {
    "rewrote": ("a.read_text()\na.write_text('x')", True),
    "changed by another": ("a.read_text()\nsubprocess.run(['touch', a])", True),
    "opened to change": ("open(a, 'r+').write('x')", True),
    "appended, then read": ("open(a, 'a').write('x')\nopen(a).read()", True),
    "wrote, then read": ("open(new, 'w').write('x')\nopen(new).read()", False),
    "only appended": ("open(new, 'a').write('x')", False),
    "created": ("open(new, 'x+').write('x')", False),
}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_inputs_that_change_meanwhile(project: Project) -> None:
    """An input that changed while it was read, by whomever, never counts as up to date."""
    body = "import subprocess\nfrom pathlib import Path\ndata = Path.cwd().parents[2] / 'data'\n"
    for number, (code, _) in enumerate(MEANWHILE.values()):
        project.write(f"data/a{number}.csv", "length\n1\n")
        body += f"\n# %%\na, new = data / 'a{number}.csv', data / 'new{number}.csv'\n{code}\n"
    project.write("data/zones/one.csv", "")
    body += "\n# %%\nlist((data / 'zones').iterdir())\nsubprocess.run(['touch', data / 'zones/late.csv'])\n"
    project.flow(body)
    run()
    causes = [f"input: data/a{number}.csv{DURING}" for number, (_, told) in enumerate(MEANWHILE.values()) if told]
    assert plan() == "; ".join([*causes, "input: data/zones/ (its list of files)"])


@pytest.mark.engines("fork", "spawn")
def test_a_named_file_that_the_flow_only_writes(sample: Sample) -> None:
    """A file outside the instance's folder that the flow replaces is no input, though it is named."""
    sample.flow("from ductaflow import project_path\nproject_path('data/table.csv').write_text('x')", "flow/seen.py")
    sample.flows["seen"] = "seen"
    sample.rows = {"seen": [{"instance_name": "one"}]}
    for force in (False, True):
        sample.run("seen", force=force)
        assert sample.plan("seen") == {}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_sqlite_by_uri(project: Project) -> None:
    """A SQLite database opened by URI counts as the file it names."""
    body = "import sqlite3\nfrom pathlib import Path\n"
    for name, uri in (("first", "file:{}?mode=ro"), ("second", "file://{}")):
        write_data(project.root / f"data/{name}.sqlite", [1, 2])
        body += f"""
# %%
where = Path.cwd().parents[2] / "data" / ("{name}" + ".sqlite")
connection = sqlite3.connect({uri!r}.format(where), uri=True)
connection.execute("select * from links").fetchall()
connection.close()
"""
    project.flow(body)
    run()
    assert plan() is None
    causes = []
    for name in ("first", "second"):
        write_data(project.root / f"data/{name}.sqlite", [5, 5, 5])
        causes.append(f"input: data/{name}.sqlite")
        assert plan() == "; ".join(causes)


@pytest.mark.engines("fork", "spawn")
def test_a_file_outside_the_project_counts_when_it_is_named(sample: Sample, tmp_path: Path) -> None:
    """A file elsewhere is an input if the config names it."""
    outside = tmp_path / "outside.csv"
    write_data(outside, [1])
    sample.row("read", "csv_config")["path"] = str(outside)
    sample.run("read")
    assert sample.plan("read") == {}
    write_data(outside, [2])
    assert sample.plan("read") == {"read/csv_config": f"input: {outside.as_posix()}"}


def one_more(sample: Sample, body: str) -> None:
    """Replace all steps but `cost` by one with this flow, and run it."""
    sample.flow(body, "flow/seen.py")
    sample.flows["seen"] = "seen"
    sample.rows = {"cost": sample.rows["cost"], "seen": [{"instance_name": "one"}]}
    assert sample.run("seen")["error"].tolist() == [None]
    assert sample.plan("seen") == {}


@pytest.mark.engines("fork", "spawn")
def test_results_of_another_step(sample: Sample) -> None:
    """`load_results` in a flow counts what the step's records tell: status, config and results, not the time."""
    one_more(sample, 'from ductaflow import load_results\nload_results("cost")')
    sample.edit("flow/cost.py", "# The links", "# All links")
    sample.run("cost")
    assert sample.plan("seen") == {}
    sample.run("cost", force=True)
    assert sample.plan("seen") == {}
    sample.row("cost", "b")["fare.base"] = 9
    sample.run("cost")
    assert sample.plan("seen") == {"seen/one": "input: runs/cost/b/run.json"}
    sample.run("seen")
    sample.rows["cost"].append({**sample.row("cost", "b"), "instance_name": "d"})
    sample.run("cost")
    assert sample.plan("seen") == {"seen/one": "input: runs/cost/ (its list of files)"}


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_module_loaded_by_its_path(sample: Sample) -> None:
    """Code of the project that is loaded by its path, and leaves no module behind, counts as a module."""
    sample.write("tools/tool.py", "V = 1\n")
    one_more(
        sample,
        """
        import runpy
        from importlib.util import module_from_spec, spec_from_file_location
        from pathlib import Path
        spec = spec_from_file_location("tool", Path.cwd().parents[2] / "tools" / ("to" + "ol.py"))
        tool = module_from_spec(spec)
        spec.loader.exec_module(tool)
        """,
    )
    sample.write("tools/tool.py", "V = 22\n")
    assert sample.plan("seen") == {"seen/one": "module: tools/tool.py"}


def test_a_module_from_the_future(sample: Sample) -> None:
    """A module whose time is yet to come, by a wrong clock somewhere, does not execute its users for ever."""
    ahead = 4e9
    os.utime(sample.root / "lib/rates.py", (ahead, ahead))
    sample.run("cost", force=True)
    assert sample.plan("cost") == {}

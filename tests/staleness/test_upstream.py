"""Results that rest on others which are not up to date: what status, page and plan say, and what runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances
from ductaflow_runtime.conductor.project_staleness import staleness_of
from ductaflow_runtime.files import FileState
from ductaflow_runtime.project import Project as Place
from ductaflow_runtime.runs.fingerprint import Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.inventory import Found
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.upstream import rest_on
from tests.cli.test_commands import call, section
from tests.conftest import Project

FIT = """
# %%
from pathlib import Path
from ductaflow import save_results
factor = 1
if config["k"] < 0:
    raise ValueError("negative")
Path("fit.txt").write_text(str(min(config["k"] * factor, 5)))
save_results(fit=min(config["k"] * factor, 5))
"""
SUMMARISE = """
# %%
from pathlib import Path
from ductaflow import instance_path, load_results, save_results
if config["of"] == "all":
    total = load_results("fit")["result.fit"].sum()
else:
    total = int(instance_path("fit", config["of"], "fit.txt").read_text())
Path("total.txt").write_text(str(total))
save_results(total=float(total))
"""
REPORT = """
# %%
from ductaflow import load_results, save_results
save_results(best=float(load_results("summarise").set_index("instance_name").loc["all", "result.total"]) * config["x"])
"""
LAST = """
# %%
from ductaflow import instance_path
text = instance_path("summarise", "row0", "total.txt").read_text() * config["x"]
"""


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three steps, each of which reads the one before."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.flow(FIT, "flow/fit.py")
    project.flow(SUMMARISE, "flow/summarise.py")
    project.flow(REPORT, "flow/report.py")
    run("fit", k=[5, 6, 7])
    run("summarise", of=["all", "row0"])
    run("report", x=[1])
    return project


def run(step: str, **columns: list[object]) -> list[str]:
    """Run a step of rows `row0`, `row1`, ... (of `of`: named by it); give their statuses."""
    length = len(next(iter(columns.values())))
    names = columns.get("of", [f"row{number}" for number in range(length)])
    frame = pd.DataFrame({"instance_name": names, **columns})
    return run_instances(frame, f"flow/{step}.py", on_error="continue")["status"].tolist()


def edit(project: Project, old: str = "factor = 1", new: str = "factor = 2") -> None:
    path = project.root / "flow/fit.py"
    path.write_text(path.read_text().replace(old, new))


def marks(project: Project) -> dict[str, str]:
    """What the status page says of each instance that is not up to date."""
    return {"/".join(place): reason for place, reason in staleness_of(Place.at(project.root)).reasons.items()}


def test_status_and_page_look_up_the_whole_chain(chain: Project) -> None:
    """Results of results that are not up to date are not up to date either, at any depth; status and page say so."""
    assert marks(chain) == {}
    edit(chain)
    code = "code: cell 3"
    told = {
        "summarise/all": "reads 3 instances of fit that are not up to date",
        "summarise/row0": f"reads fit/row0, which is not up to date: {code}",
    }
    found = marks(chain)
    assert found == {f"fit/row{number}": code for number in range(3)} | told | {"report/row0": found["report/row0"]}
    assert found["report/row0"] == "reads 2 instances of summarise that are not up to date"
    lines = section(call("status", "summarise"), "No longer up to date")
    assert lines == [f"1  {told[address]}  ({address})" for address in told]
    assert call("status").splitlines()[3].split()[:7] == ["summarise", "2", "0", "0", "0", "0", "2"]


def test_nothing_executes_before_the_earlier_step_has(chain: Project) -> None:
    """What a sweep executes is as ever; after the earlier step has run, all is up to date where nothing changed."""
    edit(chain)
    assert run("summarise", of=["all", "row0"]) == ["up to date"] * 2
    command = ("plan", "flow/summarise.py", "--config", "runs/summarise/row0/config.json", "--name", "row0")
    assert call(*command).splitlines() == [
        "summarise/row0: up to date",
        "  but it reads fit/row0, which is not up to date: code: cell 3; see to that first, and ask again",
    ]
    assert run("fit", k=[5, 6, 7]) == ["done"] * 3  # and gives the same numbers
    assert marks(chain) == {}
    assert call(*command) == "summarise/row0: up to date\n"


def test_one_that_rests_on_another_through_a_third(chain: Project) -> None:
    """Where a single chain leads to what has changed, the cause names its beginning."""
    chain.flow(LAST, "flow/last.py")
    run("last", x=[1])
    edit(chain)
    assert marks(chain)["last/row0"] == (
        "reads summarise/row0, which rests on fit/row0, which is not up to date: code: cell 3"
    )


def test_a_failure_that_was_read_still_holds(chain: Project) -> None:
    """Who reads that an instance has failed has read what still holds, until something of that instance changes."""
    assert run("fit", k=[5, 6, -1]) == ["up to date", "up to date", "failed"]
    run("summarise", of=["all", "row0"])
    run("report", x=[1])
    assert marks(chain).keys() <= {"fit/row2"}
    edit(chain, "< 0", "< -9")
    assert marks(chain)["summarise/all"] == "reads 3 instances of fit that are not up to date"


def test_instances_that_have_lost_their_row(chain: Project) -> None:
    """What reads instances whose row is gone, by what `whole=True` has said, is not up to date."""
    frame = pd.DataFrame({"instance_name": ["row0"], "k": [5]})
    run_instances(frame, "flow/fit.py", whole=True)
    assert marks(chain) == {
        "summarise/all": "reads 2 instances of fit that have no row",
        "report/row0": "reads summarise/all, which rests on fit/row1, which has no row",
    }


def test_accepting_is_about_the_instance_alone(chain: Project) -> None:
    """An instance whose own state is unchanged has nothing to accept; accepting the earlier one is what helps."""
    edit(chain)
    assert call("accept", "summarise", "row0") == "summarise/row0: up to date, nothing to accept\n"
    call("accept", "fit")
    assert marks(chain) == {}


def test_a_long_chain_and_a_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each instance is looked at once, be they thousands one behind the other, or each other's readers."""
    monkeypatch.chdir(tmp_path)
    Project(tmp_path)
    project = Place.at(tmp_path)
    names = [str(number) for number in range(3000)]
    found = [found_of(project, name, str((int(name) + 1) % 3000)) for name in names]
    ring = rest_on(found, Present(project))
    assert all(one.stale is None for one in ring)
    stale = rest_on([replace(found[0], reason="code: cell 2"), *found[1:]], Present(project))
    why = "rests on year/0, which is not up to date: code: cell 2"
    assert stale[2999].stale == "reads year/0, which is not up to date: code: cell 2"
    assert {one.stale for one in stale[1:2999]} == {f"reads year/{number}, which {why}" for number in range(2, 3000)}


def found_of(project: Place, name: str, read: str) -> Found:
    """One that is done, and has read a file of another."""
    instance = Instance(project.root / "flow/year.py", "year", name, {}, project.runs_dir)
    inputs = {f"runs/year/{read}/stock.csv": FileState(size=1)}
    record = Record(status=Status.DONE, fingerprint=Fingerprint(inputs=inputs))
    return Found(instance, record, Status.DONE, None)

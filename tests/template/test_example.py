"""The generated projects at work: their own tests, their conductors, and a real network."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import jupytext
import networkx
import numpy as np
import pandas as pd
import pytest

import ductaflow
from ductaflow import InstancesFailed, plan_instances, run_instances
from tests.kernels import run_cells
from tests.markdown_pages import ROOT as REPOSITORY
from tests.markdown_pages import blocks_of
from tests.once import common_folder, once
from tests.waiting import LAST_CHANCE_S

from .helpers import ROOT, commit_all, git, isolation, run_python, tree

SIOUX_FALLS = ROOT.parent / "shared" / "data" / "sioux_falls"
ACCURATE = {"assignment.max_iterations": 3000, "assignment.gap_target": 1e-6}


@pytest.fixture
def traffic(project_of, monkeypatch):
    """A project with the traffic example, as working directory."""
    project = project_of("traffic")
    monkeypatch.chdir(project)
    return project


@pytest.fixture(scope="module")
def swept(fresh, home, tmp_path_factory):
    """A committed project with the traffic example whose conductor has run, and what it printed. Tests only read it."""

    def sweep(folder):
        project = shutil.copytree(fresh("traffic"), folder / "project")
        commit_all(project, env={**os.environ, **isolation(home)})
        done = run_python(project, "conductor.py")
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "printed.txt").write_text(done.stdout, encoding="utf-8")

    folder = once(common_folder(tmp_path_factory) / "swept", sweep)
    return folder / "project", (folder / "printed.txt").read_text(encoding="utf-8")


def test_the_shown_results_are_the_real_ones(swept):
    """The README's table is what the example's conductor prints."""
    (shown,) = [block for block in blocks_of(REPOSITORY / "README.md") if block.directive == "output: conductor.py"]
    assert shown.text in swept[1]


def records(project, step):
    """The records of a step, by instance name."""
    found = sorted((project / "runs" / step).glob("*/run.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("example", ["traffic", "minimal"])
def test_generated_project_passes_its_own_tests(project_of, example):
    """`pytest` in a fresh project runs each flow, passes, and leaves no result in runs/."""
    project = project_of(example)
    done = run_python(project, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(list((project / 'flow').glob('*.py')))} passed" in done.stdout
    assert {name for name in tree(project) if name.startswith("runs/")} <= {"runs/.gitkeep"}


@pytest.mark.slow
def test_conductor_shows_braess_paradox(swept):
    """The sweep ends with 65 minutes without the shortcut and 80 with it, and says where to look."""
    project, printed = swept
    end = printed[printed.index("Mean travel time at 4,000 vehicles") :]
    without, with_shortcut = (float(number) for number in re.findall(r"([\d.]+) minutes\n", end))
    assert without == pytest.approx(65, rel=1e-3)
    assert with_shortcut == pytest.approx(80, rel=1e-3)
    places = re.findall(r"^  (/\S+)  ", end[end.index("Where to look") :], flags=re.MULTILINE)
    runs = project / "runs"
    assert places == [str(runs / "braess_paradox.png"), str(runs), str(runs / "index.html")]
    assert all(Path(place).exists() for place in places)
    assert (runs / "braess_paradox.png").stat().st_size > 10_000
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.slow
def test_paradox_appears_and_vanishes_with_demand(swept):
    """The shortcut helps at low demand, harms above 3,000 vehicles, and is unused from 9,000 on."""
    project, _ = swept
    results = [record["results"] for record in records(project, "compare_networks").values()]
    verdicts = {round(result["demand"]): result["verdict"] for result in results}
    assert verdicts == {
        1000: "better",
        2000: "better",
        3000: "no change",
        4000: "worse",
        5000: "worse",
        6000: "worse",
        8000: "worse",
        9000: "no change",
        10000: "no change",
    }
    for result in results:
        demand, shared = result["demand"], min(result["demand"], 4500)
        assert result["mean_time_base"] == pytest.approx(45 + demand / 200, rel=1e-4)
        known = 2 * shared / 100 if demand < 9000 else 45 + demand / 200
        assert result["mean_time_new"] == pytest.approx(known, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("example", "ran"), [("traffic", "2 to run (2 new)"), ("minimal", "3 to run (3 new)")])
def test_conductor_runs_cell_by_cell_in_a_notebook(project_of, example, ran):
    """The conductor opened as a notebook runs from top to bottom in a Jupyter kernel, edited or not."""
    conductor = project_of(example) / "conductor.py"
    text = conductor.read_text(encoding="utf-8")
    fewer = re.sub(r"^demand_factors = .*$", "demand_factors = [1.0]", text, flags=re.MULTILINE)
    conductor.write_text(fewer, encoding="utf-8")
    printed = run_as_notebook(conductor)
    assert ran in printed
    assert "Where to look" in printed


def run_as_notebook(conductor):
    """What the cells of a conductor print in a Jupyter kernel that runs in the project."""
    notebook = jupytext.read(conductor)
    run_cells(notebook, conductor.parent, kernel_name="python3", timeout=LAST_CHANCE_S)
    return "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("text"))


@pytest.mark.slow
@pytest.mark.parametrize(("example", "step"), [("traffic", "assign_traffic"), ("minimal", "my_analysis")])
def test_pure_conductor_leaves_the_same_records(project_of, example, step):
    """Without notebooks, each instance is a script that leaves its record and results like any other."""
    project = project_of(example)
    conductor = project / "pure_conductor.py"
    text = conductor.read_text(encoding="utf-8")
    conductor.write_text(text.replace("for factor in [0.5, 1.0, 2.5]", "for factor in [1.0]"), encoding="utf-8")
    done = run_python(project, "pure_conductor.py")
    assert done.returncode == 0, done.stdout + done.stderr
    left = records(project, step)
    assert len(left) == 2
    assert {record["status"] for record in left.values()} == {"done"}
    assert all(record["results"] for record in left.values())


@pytest.mark.slow
def test_minimal_conductor_takes_its_rows_from_code_or_from_a_table(project_of):
    """It runs its three rows and gives their results; the table and the line in README.md give the same rows."""
    project = project_of("minimal")
    done = run_python(project, "conductor.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: record["status"] for name, record in records(project, "my_analysis").items()} == {
        "fast_bus": "done",
        "free": "done",
        "today": "done",
    }
    shares = {name: record["results"]["bus_share"] for name, record in records(project, "my_analysis").items()}
    assert shares["today"] < shares["free"]
    assert shares["today"] < shares["fast_bus"]

    readme = (project / "README.md").read_text(encoding="utf-8")
    (project / "control_df.csv").write_text(re.search(r"```csv\n(.+?)```", readme, re.DOTALL)[1], encoding="utf-8")
    line = re.search(r"^control_df = pd\.read_csv.+$", readme, re.MULTILINE)[0]
    text = (project / "conductor.py").read_text(encoding="utf-8")
    changed = re.sub(r"^control_df = pd\.DataFrame\(\n.+?^\)$", line, text, flags=re.DOTALL | re.MULTILINE)
    assert changed != text
    (project / "conductor.py").write_text(changed, encoding="utf-8")
    done = run_python(project, "conductor.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("up to date") == 3


@pytest.mark.slow
@pytest.mark.parametrize(("example", "flow"), [("traffic", "assign_traffic"), ("minimal", "my_analysis")])
def test_commands_of_the_projects_readme_work(project_of, example, flow):
    """The script and the `ductaflow run` shown in README.md run, and each leaves a finished instance."""
    project = project_of(example)
    readme = (project / "README.md").read_text(encoding="utf-8")
    script = re.search(r"^ *python (flow/.+)$", readme, flags=re.MULTILINE)[1]
    command = re.search(r"`ductaflow (run [^`]+)`", readme)[1]
    caller = ["-c", "from ductaflow_runtime.cli.main import main; main()"]
    for arguments in (script.split(), [*caller, *command.split()]):
        done = run_python(project, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    left = records(project, flow)
    assert len(left) == 2
    assert {record["status"] for record in left.values()} == {"done"}


@pytest.mark.slow
@pytest.mark.skipif(not SIOUX_FALLS.is_dir(), reason="the Sioux Falls network is not at ../shared/data/sioux_falls")
def test_sioux_falls_reaches_the_published_equilibrium(traffic):
    """A real network dropped into data/networks/ is solved to the best known flows, and beyond its demand."""
    shutil.copytree(SIOUX_FALLS, traffic / "data" / "networks" / "sioux_falls")
    factors = [0.5, 1.0, 1.5]
    rows = pd.DataFrame({"instance_name": [f"x{f}" for f in factors], "demand_factor": factors})
    results = run_instances(rows.assign(network="sioux_falls", **ACCURATE), "flow/assign_traffic.py")
    results = results.set_index("demand_factor")
    assert (results["result.relative_gap"] <= 1e-6).all()

    published = results.loc[1.0]
    assert published["result.beckmann_objective"] == pytest.approx(4_231_335.287, rel=1e-4)
    assert published["result.total_travel_time"] == pytest.approx(7_480_225, rel=1e-3)
    best = pd.read_csv(SIOUX_FALLS / "best_known_flows.csv")
    found = pd.read_csv(traffic / "runs" / "assign_traffic" / "x1.0" / "flows.csv")
    assert found[["from", "to"]].equals(best[["from", "to"]])
    np.testing.assert_allclose(found["flow"], best["flow"], rtol=1e-3)
    np.testing.assert_allclose(found["travel_time"], best["travel_time"], rtol=1e-3)

    for factor in factors:
        assert_equilibrium(traffic / "runs" / "assign_traffic" / f"x{factor}", factor)


def assert_equilibrium(directory, factor):
    """The flows carry the demand, and nobody gains by another route: checked without the flow's own code."""
    flows = pd.read_csv(directory / "flows.csv")
    demand = pd.read_csv(SIOUX_FALLS / "demand.csv")
    demand["trips"] *= factor
    balance = flows.groupby("from")["flow"].sum() - flows.groupby("to")["flow"].sum()
    wanted = demand.groupby("origin")["trips"].sum() - demand.groupby("destination")["trips"].sum()
    np.testing.assert_allclose(balance, wanted.reindex(balance.index, fill_value=0), atol=1e-3)

    graph = networkx.DiGraph()
    graph.add_weighted_edges_from(flows[["from", "to", "travel_time"]].itertuples(index=False))
    quickest = dict(networkx.all_pairs_dijkstra_path_length(graph))
    least = sum(row.trips * quickest[row.origin][row.destination] for row in demand.itertuples())
    spent = (flows["flow"] * flows["travel_time"]).sum()
    assert 0 <= 1 - least / spent <= 1e-5


def test_functions_named_in_the_projects_readme_are_public(fresh):
    """Whatever README.md calls can be imported from ductaflow."""
    for example in ("traffic", "minimal"):
        readme = (fresh(example) / "README.md").read_text("utf-8")
        called = set(re.findall(r"`(\w+)\(", readme))
        assert {"project_path", "instance_path", "save_results", "run_instances"} <= called
        assert called <= set(ductaflow.__all__)


def write_network(project, name, links, demand):
    """A network with the given rows, below the usual header unless they bring their own."""
    folder = project / "data" / "networks" / name
    folder.mkdir()
    for file_name, rows, header in [
        ("links.csv", links, "from,to,capacity,free_flow_time,b,power"),
        ("demand.csv", demand, "origin,destination,trips"),
    ]:
        lines = rows if rows[0].startswith(("from", "origin")) else [header, *rows]
        (folder / file_name).write_text("\n".join(lines) + "\n", encoding="utf-8")


ROAD = "a,b,100,10,0.15,4"
BAD_NETWORKS = {
    "no_column": (["from,to,capacity", "a,b,1"], ["a,b,5"], "links.csv has no column free_flow_time, b"),
    "negative": ([ROAD, "b,a,-1,1,0,4"], ["a,b,5"], "line 3: capacity must be a number above zero, not -1"),
    "no_number": (["a,b,100,fast,0,4"], ["a,b,5"], "line 2: free_flow_time must be a number of zero or more"),
    "no_node": ([ROAD], ["a,,5"], "demand.csv, line 2: destination is empty"),
    "negative_trips": ([ROAD], ["a,b,-5"], "demand.csv, line 2: trips must be a number of zero or more"),
    "stranger": ([ROAD], ["a,b,5", "a,z,5"], "demand.csv names nodes without any link: z"),
    "cut_off": ([ROAD], ["a,b,5", "b,a,5"], "1 origin-destination pair(s) have no route: b to a"),
    "no_trips": ([ROAD], ["a,a,5", "a,b,0"], "has no trips between different zones"),
}  # fmt: skip


@pytest.mark.slow
def test_bad_data_is_named_with_file_line_and_column(traffic):
    """Each kind of bad network fails with a message that says what is wrong and where."""
    for name, (links, demand, _) in BAD_NETWORKS.items():
        write_network(traffic, name, links, demand)
    rows = pd.DataFrame({"instance_name": [*BAD_NETWORKS, "unknown"], "network": [*BAD_NETWORKS, "nowhere"]})
    with pytest.raises(InstancesFailed) as caught:
        run_instances(rows.assign(demand_factor=1.0, **ACCURATE), "flow/assign_traffic.py")
    errors = {name: record["error"]["message"] for name, record in records(traffic, "assign_traffic").items()}
    for name, (_, _, expected) in BAD_NETWORKS.items():
        assert expected in errors[name]
    assert "no network 'nowhere' in data/networks; there are: braess_base, braess_shortcut," in errors["unknown"]
    assert len(caught.value.results) == len(rows)


@pytest.mark.slow
def test_parallel_and_free_links_are_assigned(traffic):
    """Parallel links share the flow, a link that takes no time is used, trips within a zone stay out."""
    write_network(
        traffic,
        "parallel",
        ["a,b,10,1,1,1", "a,b,10,1,1,1", "b,c,10,0,0,1", "a,c,10,100,0,1", "c,a,10,1,0,1"],
        ["a,c,12", "a,c,8", "b,b,1000"],
    )
    rows = pd.DataFrame({"instance_name": ["p"], "network": ["parallel"], "demand_factor": [1.0]})
    result = run_instances(rows.assign(**ACCURATE), "flow/assign_traffic.py").iloc[0]
    with (traffic / "runs/assign_traffic/p/flows.csv").open(encoding="utf-8") as file:
        flows = [float(row["flow"]) for row in csv.DictReader(file)]
    assert flows == pytest.approx([10, 10, 20, 0, 0], abs=1e-3)
    assert result["result.demand"] == 20
    assert result["result.mean_travel_time"] == pytest.approx(2, rel=1e-6)


@pytest.mark.slow
def test_change_in_a_module_runs_its_users_again(traffic):
    """A module of the project counts for each flow that imports it, and for the others by its results only."""
    rows = pd.DataFrame({"instance_name": ["low", "high"], "demand_factor": [0.25, 0.5]})
    rows = rows.assign(network="braess_base", **ACCURATE)
    pairs = pd.DataFrame({"instance_name": ["same"], "base_instance": ["low"], "new_instance": ["low"]})

    def change(module, before, after):
        text = (traffic / module).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (traffic / module).write_text(text.replace(before, after), encoding="utf-8")

    def sweep():
        return [
            list(run_instances(frame, f"flow/{step}.py")["reason"].fillna("up to date"))
            for step, frame in (("assign_traffic", rows), ("compare_networks", pairs))
        ]

    assert sweep() == [["new", "new"], ["new"]]
    change("src/equilibrium.py", "last_targets][:2]", "last_targets][:1]")  # slower, to the same end
    assert list(plan_instances(rows, "flow/assign_traffic.py")["reason"]) == ["module: src/equilibrium.py"] * 2
    assert sweep() == [["module: src/equilibrium.py"] * 2, ["up to date"]]
    change("src/network.py", "*= demand_factor", "*= 2 * demand_factor")
    assignments, (comparison,) = sweep()
    assert assignments == ["module: src/network.py"] * 2
    assert "input: runs/assign_traffic/low/flows.csv" in comparison
    demands = {name: record["results"]["demand"] for name, record in records(traffic, "assign_traffic").items()}
    assert demands == {"low": 2000, "high": 4000}


@pytest.mark.slow
def test_comparison_says_what_is_missing_or_unlike(traffic):
    """Comparing with an instance that was not run, or with another demand, is refused in plain words."""
    names = ["low", "high"]
    rows = pd.DataFrame({"instance_name": names, "network": "braess_base", "demand_factor": [0.5, 1.0]})
    run_instances(rows.assign(**ACCURATE), "flow/assign_traffic.py")
    pairs = pd.DataFrame(
        {"instance_name": ["gone", "unlike"], "base_instance": "low", "new_instance": ["not_there", "high"]}
    )
    with pytest.raises(InstancesFailed):
        run_instances(pairs, "flow/compare_networks.py")
    errors = {name: record["error"]["message"] for name, record in records(traffic, "compare_networks").items()}
    assert "assign_traffic/not_there has no flows.csv: run that instance first" in errors["gone"]
    assert "carry different demand (2,000 and 4,000 vehicles)" in errors["unlike"]


@pytest.mark.slow
def test_stopping_short_of_the_equilibrium_is_a_warning(traffic):
    """An assignment that runs out of iterations says so in its record."""
    rows = pd.DataFrame({"instance_name": ["short"], "network": ["braess_base"], "demand_factor": [1.0]})
    rows = rows.assign(**{"assignment.max_iterations": 1, "assignment.gap_target": 1e-6})
    result = run_instances(rows, "flow/assign_traffic.py").iloc[0]
    assert result["result.relative_gap"] > 1e-6
    assert records(traffic, "assign_traffic")["short"]["warnings"] == 1
    assert "Not at equilibrium" in (traffic / "runs/assign_traffic/short/run.log").read_text(encoding="utf-8")
    assert os.fspath(result["directory"])

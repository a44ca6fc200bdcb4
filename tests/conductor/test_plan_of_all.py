"""A plan of all steps of a conductor says what its run then executes, and executes nothing."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from ductaflow import load_results, plan_instances, run_instances, run_notebook
from ductaflow_runtime.conductor.rehearsal import Rehearsal, rehearsing
from ductaflow_runtime.conductor.unknown import RehearsalEnds
from tests.conftest import Project
from tests.staleness import test_code, test_inputs, test_rows_and_config, test_states
from tests.staleness.cases import BACK, Case
from tests.staleness.sample import Sample

MATRIX = {
    f"{module.__name__.rpartition('.')[2]}: {case.name}": case
    for module in (test_code, test_inputs, test_rows_and_config, test_states)
    for case in [*module.CASES, *getattr(module, "CHAINS", [])]
}


def plan_all(sample: Sample) -> Rehearsal:
    """What a conductor of all steps would do."""
    with rehearsing() as rehearsal:
        sample.run_all()
    return rehearsal


def run_and_compare(sample: Sample, rehearsal: Rehearsal) -> None:
    """Run all steps; what was to run has run for that reason, what was not has not, of the rest what read changes."""
    plans = {f"{step}/{plan.instance.name}": plan for step, plans in rehearsal.steps.items() for plan in plans}
    before = sample.starts()
    told = {}
    for step in sample.rows:
        rows = sample.run(step)[["instance_name", "reason"]].itertuples(index=False)
        told |= {f"{step}/{name}": reason for name, reason in rows}
    other = {name for name, started in sample.starts().items() if started != before.get(name)}
    brought = {name for name, reason in told.items() if reason and BACK.match(reason)}
    executed = other - brought
    back = {name for name, plan in plans.items() if plan.back}
    assert brought <= other
    must = {name for name, plan in plans.items() if plan.reason}
    may = {name for name, plan in plans.items() if plan.waits}
    assert must <= executed <= must | may
    assert back <= brought <= back | may
    for name in must:
        assert set(plans[name].reason.split("; ")) <= set(told[name].split("; "))
    for name in may:
        assert all(maker in must | may | back for maker in plans[name].waits)


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in MATRIX.items()])
def test_plan_equals_run(sample: Sample, case: Case) -> None:
    """In each row of the change matrix."""
    case.change(sample)
    before = sample.starts()
    rehearsal = plan_all(sample)
    assert sample.starts() == before
    run_and_compare(sample, rehearsal)


def part(sample: Sample) -> None:
    """Only some rows, one of them changed."""
    sample.rows["cost"] = sample.rows["cost"][:2]
    sample.row("cost", "a")["year"] = 2021


def renamed(sample: Sample) -> None:
    """Rows under other names, and what reads them."""
    sample.row("cost", "a")["instance_name"] = "z"
    sample.row("sum", "a")["of"] = "z"


def there_and_back(sample: Sample) -> None:
    """A value that is again what it was two runs ago."""
    for base in (9, 1):
        sample.row("cost", "a")["fare.base"] = base
        if base == 9:
            sample.run_all()


def upstream_deleted(sample: Sample) -> None:
    """A folder that the next step reads from is gone."""
    shutil.rmtree(sample.folder("cost/a"))


def edited_midway(sample: Sample) -> None:
    """The flow was edited when one row had run."""
    sample.edit("flow/cost.py", "round(total)", "round(total, 1)")
    run_instances(sample.frame("cost")[:1], "flow/cost.py")


@pytest.mark.parametrize("change", [edited_midway, part, renamed, there_and_back, upstream_deleted])
def test_plan_equals_run_elsewhere(sample: Sample, change) -> None:
    """For a part of the frame, renamed rows, an old value, and a folder that was deleted."""
    change(sample)
    run_and_compare(sample, plan_all(sample))


def test_what_is_decided_later(sample: Sample) -> None:
    """A row that reads what will be made anew may run; another cause is a reason of its own."""
    sample.row("cost", "a")["fare.base"] = 9
    sample.row("sum", "b")["of"] = "a"
    plans = {plan.instance.name: plan for plan in plan_all(sample).steps["sum"]}
    assert (plans["a"].reason, plans["a"].waits) == (None, ("cost/a",))
    assert (plans["b"].reason, plans["b"].waits) == ("config: of b -> a", ())


def test_a_missing_result_that_will_be_made_again(sample: Sample) -> None:
    """A deleted upstream folder makes what read it wait: it gets the same bytes back, and does not run."""
    upstream_deleted(sample)
    plans = {plan.instance.name: plan for plan in plan_all(sample).steps["sum"]}
    assert (plans["a"].reason, plans["a"].waits) == (None, ("cost/a",))
    sample.run("cost")
    assert sample.run("sum")["status"].tolist() == ["up to date"] * 2


@pytest.fixture
def two_steps(project: Project) -> Project:
    """A step, and one that runs it inside."""
    project.flow("import ductaflow\nductaflow.save_results(n=config['n'])", "flow/inner.py")
    project.flow(
        "import ductaflow\nductaflow.run_notebook('flow/inner.py', {'n': 1}, instance_name='a')", "flow/outer.py"
    )
    project.flow("import ductaflow\nductaflow.load_results('inner')", "flow/reader.py")
    return project


FRAME = pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2]})
ONE = pd.DataFrame({"instance_name": ["x"]})


def conduct(frame: pd.DataFrame = FRAME, **options) -> None:
    """A conductor of three steps."""
    run_instances(frame, "flow/inner.py", **options)
    run_instances(ONE, "flow/outer.py")
    run_instances(ONE, "flow/reader.py")


def planned(frame: pd.DataFrame = FRAME, **options) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    """Reason and makers of each instance."""
    with rehearsing() as rehearsal:
        conduct(frame, **options)
    plans = [plan for plans in rehearsal.steps.values() for plan in plans]
    return {f"{plan.instance.step}/{plan.instance.name}": (plan.reason, plan.waits) for plan in plans}


def test_inner_runs_and_records_that_are_read(two_steps: Project) -> None:
    """An instance that a flow runs itself, and records that it loads, are waited for like files."""
    conduct()
    assert set(planned().values()) == {(None, ())}
    forced = planned(force=True)
    assert forced["inner/a"] == ("forced", ())
    assert forced["outer/x"] == (None, ("inner/a",))
    assert forced["reader/x"] == (None, ("inner/a", "inner/b"))
    more = planned(pd.DataFrame({"instance_name": ["a", "b", "c"], "n": [1, 2, 3]}))
    assert (more["inner/c"], more["outer/x"]) == (("new", ()), (None, ()))
    assert more["reader/x"] == (None, ("inner/c",)), "it lists the folder of the step"


def test_nothing_is_written(two_steps: Project) -> None:
    """Neither which rows there are nor a cache."""
    assert planned()["inner/a"] == ("new", ())
    assert not (two_steps.root / "runs").exists()


def test_what_is_up_to_date_gives_its_results(two_steps: Project) -> None:
    """Then the conductor gets what a run would give it, to the value."""
    conduct()
    with rehearsing():
        rehearsed = run_instances(FRAME, "flow/inner.py")
        record = run_notebook("flow/inner.py", {"n": 1}, instance_name="a")
        assert len(load_results("inner")) == 2
    pd.testing.assert_frame_equal(rehearsed, run_instances(FRAME, "flow/inner.py"))
    assert (record.results, record.skipped) == ({"n": 1}, True)


def test_what_is_known_of_rows_that_will_run(two_steps: Project) -> None:
    """The rows themselves, why they run and where; what they will give is not."""
    with rehearsing():
        frame = run_instances(FRAME, "flow/inner.py")
        assert frame["n"].tolist() == [1, 2]
        assert frame[["instance_name", "reason"]].to_numpy().tolist() == [["a", "new"], ["b", "new"]]
        assert (len(frame), list(frame.index)) == (2, [0, 1])
        record = run_notebook("flow/inner.py", {"n": 1}, instance_name="c")
        assert record.directory == two_steps.root / "runs/inner/c"
        assert load_results("outer").empty
        assert f"{frame['result.n'].mean():.2f}" == str(frame) == repr(record.results["n"] + 1)


@pytest.mark.parametrize(
    "use",
    [
        lambda frame: bool(frame["result.n"].max() > 1),
        lambda frame: list(frame["result.n"]),
        lambda frame: float(frame["result.n"].mean()),
        lambda frame: pd.DataFrame({"n": [1, 2], "m": frame["result.n"]}),
        lambda frame: frame[frame["status"] == "done"].iterrows().__iter__(),
        lambda frame: run_instances(ONE.assign(n=f"{frame['result.n'].max():.0f}"), "flow/inner.py"),
        lambda frame: run_instances(ONE.assign(instance_name=f"{frame['duration_s'].max()}"), "flow/inner.py"),
        lambda frame: run_notebook("flow/inner.py", {"n": frame["result.n"].max()}),
        lambda frame: run_notebook("flow/inner.py", {"n": [{"m": frame["result.n"].max()}]}),
        lambda frame: len(load_results("inner")),
        lambda frame: plan_instances(FRAME, "flow/inner.py"),
        lambda frame: pd.isna(frame["error"]),
    ],
)
def test_where_a_result_is_needed_the_plan_ends(two_steps: Project, use) -> None:
    """It does not guess, and does not go on although the conductor would."""
    with rehearsing() as rehearsal:
        frame = run_instances(FRAME, "flow/inner.py")
        with pytest.raises(RehearsalEnds, match=r"inner|results that do not exist yet"):
            use(frame)
        with pytest.raises(RehearsalEnds):
            run_instances(ONE, "flow/reader.py")
    assert list(rehearsal.steps) == ["inner"]


def test_the_same_instance_twice(two_steps: Project) -> None:
    """A second call finds what the first would have left."""
    with rehearsing() as rehearsal:
        run_instances(FRAME, "flow/inner.py")
        run_instances(FRAME, "flow/inner.py")
        run_instances(FRAME.assign(n=[1, 3]), "flow/inner.py")
    assert [plan.reason for plan in rehearsal.steps["inner"]] == ["new", "new", None, None, None, "config: n 2 -> 3"]

"""Instances without a row: which they are, how they are told, and what `ductaflow prune` does with them."""

from __future__ import annotations

import json
import re

import pytest

from ductaflow import InstanceBusyError, run_instances, run_notebook
from ductaflow_runtime.runs.control import last_control, not_in_control, remember_control
from ductaflow_runtime.staleness import prune
from tests.cli.test_commands import call, section
from tests.staleness.cases import OF_COST
from tests.staleness.sample import Sample

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d"


def ask_for(sample: Sample, *names: str) -> None:
    """As if a sweep of cost had said that these are all."""
    remember_control(sample.root / "runs", "cost", names, whole=True)


def left(sample: Sample) -> list[str]:
    return sorted(path.name for path in (sample.root / "runs/cost").iterdir())


def test_control_dataframes_are_remembered(sample: Sample) -> None:
    """The last whole one's names and time, all names so far that have an instance; a damaged note is no note."""
    runs = sample.root / "runs"
    assert last_control(runs, "nothing") is None
    for names in (["a", "ß"], ["b"]):
        ask_for(sample, *names)
        known = last_control(runs, "cost")
        assert known is not None
        assert (known.names, known.at[:2]) == (names, "20")
    assert sorted(known.ever) == ["a", "b", "c"]
    for damage in ("{", "[]", "{}", '{"names": 1, "at": 2, "ever": 3}'):
        (runs / ".ductaflow/control/cost.json").write_text(damage)
        assert last_control(runs, "cost") is None
    ask_for(sample, "a")
    assert last_control(runs, "cost") is not None


def test_status_lists_rows_that_are_gone(sample: Sample) -> None:
    """Instances that are not among all rows are listed; `?` stands where nobody has said which are all."""
    assert "without a row" not in call("status"), "nothing is known of any step"
    ask_for(sample, "a")
    assert "\n?  not known: no run_instances(..., whole=True)" in call("status")
    text = call("status", "cost")
    assert "?" not in text
    assert text.splitlines()[1].split()[-1] == "2"
    assert section(text, "Without a row") == ["cost/b", "cost/c"]


def test_prune_removes_what_no_row_asks_for(sample: Sample) -> None:
    """`ductaflow prune` says what it compares with, lists the instances with their time, asks, and removes them."""
    ask_for(sample, "a")
    text = call("prune", "cost", answer="n\n", code=1)
    lines = text.splitlines()
    assert re.fullmatch(f"cost: not among the 1 row that were said to be all \\({TIME}\\):", lines[0])
    for line, name in zip(lines[1:3], "bc", strict=True):
        assert re.fullmatch(f"  cost/{name}: executed {TIME}, 5 files, the whole folder", line)
    assert "Remove 2 instances" in text
    assert left(sample) == ["a", "b", "c"]
    call("prune", "cost", answer="y\n")
    assert left(sample) == ["a"]
    assert call("prune", "cost") == "cost: nothing to remove\n"


@pytest.mark.parametrize("part", ["instance_name == 'b'", "instance_name == 'nobody'"])
def test_a_part_is_not_the_whole(sample: Sample, part: str) -> None:
    """A sweep of some rows, or of none, offers nothing of the others, whatever was said before it."""
    frame = sample.frame("cost")
    run_instances(frame.query(part), "flow/cost.py")
    assert not_in_control(sample.root / "runs", "cost") == []
    assert "nobody has said which rows of cost are all" in call("prune", "cost", "--yes", code=2)
    run_instances(frame, "flow/cost.py", whole=True)
    run_instances(frame.query(part), "flow/cost.py")
    run_instances(frame.query(part)[:0], "flow/cost.py", whole=True)
    assert call("prune", "cost", "--yes") == "cost: nothing to remove\n"
    assert left(sample) == ["a", "b", "c"]


def test_calls_add_to_the_whole(sample: Sample) -> None:
    """Rows that a later call names are not gone; what the next whole dataframe leaves out is."""
    frame = sample.frame("cost")
    run_instances(frame.query("instance_name != 'b'"), "flow/cost.py", whole=True)
    assert not_in_control(sample.root / "runs", "cost") == ["b"]
    run_instances(frame.query("instance_name == 'b'"), "flow/cost.py")
    assert not_in_control(sample.root / "runs", "cost") == []
    run_instances(frame.query("instance_name == 'b'"), "flow/cost.py", whole=True)
    assert not_in_control(sample.root / "runs", "cost") == ["a", "c"]


def test_a_note_of_an_older_version_says_nothing_of_the_whole(sample: Sample) -> None:
    """Its last control dataframe may have been a part."""
    note = {"names": ["a"], "at": "2026-01-01T00:00:00+00:00", "ever": ["a", "b", "c"]}
    (sample.root / "runs/.ductaflow/control/cost.json").write_text(json.dumps(note))
    assert not_in_control(sample.root / "runs", "cost") == []
    run_instances(sample.frame("cost").query("instance_name != 'c'"), "flow/cost.py", whole=True)
    assert not_in_control(sample.root / "runs", "cost") == ["c"]


def test_what_no_control_dataframe_ever_named_stays(sample: Sample) -> None:
    """Instances of `run_notebook` or of a command have no row that could be gone."""
    config = json.loads((sample.folder("cost/a") / "config.json").read_text())
    run_notebook("flow/cost.py", config, instance_name="solo")
    call("run", "flow/cost.py", "--config", "runs/cost/a/config.json", "--name", "typed")
    ask_for(sample, "a", "b", "c")
    assert call("prune", "cost", "--yes") == "cost: nothing to remove\n"
    assert "Without a row" not in call("status", "cost")
    ask_for(sample, "a", "solo")
    assert not_in_control(sample.root / "runs", "cost") == ["b", "c"]
    ask_for(sample, "a", "b", "c")
    assert not_in_control(sample.root / "runs", "cost") == ["solo"], "a sweep has named it since"
    call("prune", "cost", "--yes")
    assert left(sample) == ["a", "b", "c", "typed"]


def test_prune_leaves_files_of_others(sample: Sample) -> None:
    """Files that no execution wrote, and outputs that somebody has edited, stay and are named."""
    sample.write("runs/cost/b/mine/notes.md", "mine")
    sample.edit("runs/cost/b/cost.csv", "8", "88")
    ask_for(sample, "a", "c")
    text = call("prune", "cost", "--yes")
    assert "4 files; not written by an execution, so they stay: cost.csv, mine/notes.md" in text
    there = [path for path in sample.folder("cost/b").rglob("*") if path.is_file()]
    assert sorted(path.name for path in there) == ["cost.csv", "notes.md"]


def test_prune_removes_links_that_the_flow_left(sample: Sample) -> None:
    """A link to a folder that the execution made goes, the folder it leads to stays; others' links stay."""
    for name in ("own", "mine"):
        (sample.folder("cost/b") / name).symlink_to(sample.root / "data")
    sample.edit_record("cost/b", links=["own"])
    ask_for(sample, "a", "c")
    assert "so they stay: mine" in call("prune", "cost", "--yes")
    assert [path.name for path in sample.folder("cost/b").iterdir()] == ["mine"]
    assert (sample.root / "data/a.csv").is_file()


def test_prune_says_what_becomes_of_edited_notebooks(sample: Sample) -> None:
    """No record says how notebook and log were, so they go, edited or not; the help says so."""
    for name in ("cost.ipynb", "run.log"):
        with (sample.folder("cost/b") / name).open("a") as file:
            file.write("\n")
    ask_for(sample, "a", "c")
    call("prune", "cost", "--yes")
    assert left(sample) == ["a", "c"]
    shown = " ".join(call("prune", "--help").split())
    assert "Deletes record, config, log, notebook and page, edited or not, and outputs that are as they were" in shown


@pytest.mark.parametrize("damage", ["{", None])
def test_prune_leaves_what_it_cannot_judge(sample: Sample, damage: str | None) -> None:
    """A folder whose record is damaged or missing is left alone."""
    record = sample.folder("cost/b") / "run.json"
    record.unlink() if damage is None else record.write_text(damage)
    ask_for(sample, "a", "c")
    text = call("prune", "cost", "--yes")
    assert "cost/b: left alone (" in text
    assert "so nobody knows whose files these are" in text
    assert (sample.folder("cost/b") / "cost.csv").is_file()


def test_prune_leaves_what_ran_meanwhile(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that somebody executes while prune waits for an answer stays; the others go."""
    remove = prune.remove

    def late(removal: prune.Removal) -> None:
        if removal.instance.name == "b":
            raise InstanceBusyError("just now")
        remove(removal)

    monkeypatch.setattr(prune, "remove", late)
    ask_for(sample, "a")
    text = call("prune", "cost", "--yes")
    assert text.splitlines()[-2:] == ["cost/b: left alone (just now)", "cost: removed 1 instance"]
    assert left(sample) == ["a", "b"]


def test_prune_of_a_step_whose_flow_is_gone(sample: Sample) -> None:
    """What a renamed step leaves behind is found without anybody having said which rows are all, and asked about."""
    (sample.root / "runs/.ductaflow/control/sum.json").unlink()
    sample.write("runs/sum/b/notes.md", "mine")
    (sample.root / "flow/sum.py").rename(sample.root / "flow/total.py")
    assert "flow/sum.py is gone" in call("prune", "sum", "--yes", code=2)
    text = call("prune", "sum", answer="n\n", code=1)
    assert text.startswith(
        "sum: flow/sum.py is gone, so nothing executes these again as they were:\n  sum/a: executed "
    )
    assert "Remove 2 instances" in text
    assert sample.folder("sum/a").is_dir()
    assert "sum: removed 2 instances" in call("prune", "sum", answer="y\n")
    assert [path.name for path in sample.folder("sum/b").iterdir()] == ["notes.md"]


def test_nothing_is_left_of_a_step_whose_flow_is_gone(sample: Sample) -> None:
    """Neither a folder nor rows that something would have to execute."""
    (sample.root / "flow/sum.py").unlink()
    call("prune", "sum", answer="y\n")
    assert not (sample.root / "runs/sum").exists()
    assert "sum/" not in call("status")


def test_a_step_goes_on_while_one_of_its_flows_is_there(sample: Sample) -> None:
    """A flow that was renamed and keeps its step is no reason to remove what it has not come to yet."""
    (sample.root / "flow/cost.py").rename(sample.root / "flow/price.py")
    sample.flows["cost"] = "price"
    run_instances(sample.frame("cost")[:1], "flow/price.py", step_name="cost")
    assert call("prune", "cost", code=2).startswith("ductaflow: nobody has said which rows of cost are all")


def test_prune_needs_a_control_dataframe(sample: Sample) -> None:
    """Without knowing which rows are all, nothing is removed."""
    (sample.root / "runs/.ductaflow/control/cost.json").unlink()
    assert "give whole=True to the run_instances" in call("prune", "cost", "--yes", code=2)
    assert all(sample.folder(instance).is_dir() for instance in OF_COST)

"""What becomes of the files in an instance's folder when it runs again, and when only its text changed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ductaflow import FlowError, run_notebook
from ductaflow_runtime.cli.main import main
from tests.staleness.cases import OF_COST
from tests.staleness.sample import Sample


def files(folder: Path) -> dict[str, str]:
    """The text of each file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def previous(sample: Sample) -> Path:
    """Where the last good results of cost/b are kept while there are no newer ones."""
    return sample.root / "runs/.ductaflow/previous/cost/b"


def fail(sample: Sample) -> None:
    """Make cost/b fail from now on."""
    (sample.root.parent / "broken_b").touch()


def mend(sample: Sample) -> None:
    """Make cost/b succeed again."""
    (sample.root.parent / "broken_b").unlink()


def test_a_rerun_starts_from_a_clean_folder(sample: Sample) -> None:
    """Outputs that the flow no longer writes are gone after the next execution."""
    sample.edit("flow/cost.py", 'Path("cost.csv")', 'Path("price.csv")')
    sample.run("cost")
    assert set(files(sample.folder("cost/b"))) == {"config.json", "run.json", "run.log", "cost.ipynb", "price.csv"}
    assert not previous(sample).exists()


@pytest.mark.engines("fork", "spawn")
def test_a_rerun_leaves_files_of_others(sample: Sample) -> None:
    """A file that no execution wrote survives a re-run, and is not taken for an output."""
    sample.write("runs/cost/b/notes.md", "mine")
    sample.write("runs/cost/b/figures/mine.svg", "<svg/>")
    sample.run("cost", force=True)
    left = files(sample.folder("cost/b"))
    assert (left["notes.md"], left["figures/mine.svg"]) == ("mine", "<svg/>")
    assert sample.record("cost", "b")["outputs"].keys() == {"cost.csv"}


@pytest.mark.engines("fork", "spawn")
def test_a_failed_rerun_keeps_the_last_good_results(sample: Sample) -> None:
    """After a failure the previous results are in runs/.ductaflow/previous, also after a second failure."""
    good = files(sample.folder("cost/b"))
    fail(sample)
    sample.run("cost", force=True)
    assert "cost.csv" not in files(sample.folder("cost/b"))
    assert files(previous(sample)) == good
    sample.run("cost")
    assert files(previous(sample)) == good
    mend(sample)
    sample.run("cost")
    assert files(sample.folder("cost/b"))["cost.csv"] == good["cost.csv"]
    assert not previous(sample).exists()


def test_a_failure_says_where_the_last_good_results_are(sample: Sample) -> None:
    """The error message of a failed re-run names the folder of the results before it."""
    fail(sample)
    config = json.loads((sample.folder("cost/b") / "config.json").read_text())
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/cost.py", config, instance_name="b", force=True)
    assert f"the last good results are kept in {previous(sample)}" in str(caught.value)
    assert caught.value.record.previous == previous(sample)


def test_an_edited_output_is_set_aside(sample: Sample) -> None:
    """An output that somebody has edited is moved on the next run, not deleted."""
    sample.edit("runs/cost/b/cost.csv", "8", "88")
    sample.run("cost")
    assert files(sample.folder("cost/b"))["cost.csv"] == "total\n8\n"
    kept = list((sample.root / "runs/.ductaflow/edited/cost/b").glob("*/cost.csv"))
    assert [path.read_text() for path in kept] == ["total\n88\n"]


def sources(notebook: dict[str, object]) -> str:
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"])  # type: ignore[attr-defined]


def outputs(notebook: dict[str, object]) -> list[object]:
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]  # type: ignore[attr-defined]


@pytest.mark.engines("fork", "spawn")
def test_refreshing_renews_the_text_around_the_outputs(sample: Sample) -> None:
    """A new comment and new markdown are in the stored notebook afterwards; outputs and record stay."""
    sample.edit("flow/cost.py", "save_results(total=float(total))", "save_results(total=float(total))\ntotal")
    sample.run("cost")
    before, was = sample.notebook("cost", "b"), sample.record("cost", "b")
    assert outputs(before)[-2]
    sample.edit("flow/cost.py", "# The links", "# All links")
    sample.edit("flow/cost.py", '# %% tags=["cost"]', '# %% [markdown]\n# The sum\n\n# %% tags=["cost", "x"]')
    frame = sample.run("cost")
    after, record = sample.notebook("cost", "b"), sample.record("cost", "b")
    assert frame["status"].tolist() == ["refreshed"] * 3
    assert outputs(after) == outputs(before)
    assert "# All links" in sources(after)
    assert "The sum" in sources(after)
    assert "# The links" not in sources(after)
    assert [cell["cell_type"] for cell in after["cells"]].count("markdown") == 3
    assert "data/b.csv" in sources(after), "the injected config is still there"
    tags = [cell["metadata"].get("tags", []) for cell in after["cells"]]
    assert ["cost", "x"] in tags
    assert tags.count(["injected-parameters"]) == 1
    assert {**record, "fingerprint": None} == {**was, "fingerprint": None}
    assert sample.run("cost")["status"].tolist() == ["up to date"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="files are told by /proc")
def test_what_replaces_a_good_record_is_on_the_disk_before(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the record and the notebook of a refreshed or an accepted instance old or new, never empty."""
    synced, real = [], os.fsync

    def note(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    sample.edit("flow/cost.py", "# The links", "# All links")
    assert sample.run("cost")["status"].tolist() == ["refreshed"] * 3
    told = [path.name.rpartition(".json.")[0] or path.name.rpartition(".ipynb.")[0] for path in synced]
    assert told == [".cost", ".run"] * 3
    synced.clear()
    sample.edit("lib/rates.py", "2", "3")
    assert CliRunner().invoke(main, ["accept", "cost", "a"]).exit_code == 0
    assert [path.parent.name for path in synced] == ["a"]


def test_refreshing_needs_no_notebook(sample: Sample) -> None:
    """Where the stored notebook was deleted, a new comment is no reason to execute."""
    (sample.folder("cost/b") / "cost.ipynb").unlink()
    sample.edit("flow/cost.py", "# The links", "# All links")
    assert sample.run("cost")["status"].tolist() == ["refreshed"] * 3
    assert not (sample.folder("cost/b") / "cost.ipynb").exists()


def test_a_page_follows_the_text(sample: Sample) -> None:
    """The HTML page of an up-to-date instance is made without executing, and renewed with the text."""
    started = sample.starts()
    sample.run("second", export_html=True)
    page = sample.folder("second/a") / "cost.html"
    assert "What a link costs" in page.read_text(encoding="utf-8")
    sample.edit("flow/cost.py", "# # What a link costs", "# # The price of a link")
    sample.run("second")
    assert "The price of a link" in page.read_text(encoding="utf-8")
    assert sample.starts() == started


def test_every_step_of_a_flow_is_refreshed(sample: Sample) -> None:
    """Two steps that share a flow both get its new text."""
    sample.edit("flow/cost.py", "# The links", "# All links")
    for step in ("cost", "second"):
        assert set(sample.run(step)["status"]) == {"refreshed"}
    for instance in OF_COST:
        notebook = json.loads((sample.folder(instance) / "cost.ipynb").read_text())
        assert "# All links" in sources(notebook)

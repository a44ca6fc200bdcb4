"""What the status page is built from: records, damaged or not, logs, notebooks, within budgets."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from benchmarks.page_samples import png, write_instance, write_sweep
from ductaflow_runtime.runs.claim import host_name
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.status_page import PageWriter, rows, write_page
from ductaflow_runtime.status_page.data import last_sweep_start
from ductaflow_runtime.status_page.details import log_tail
from ductaflow_runtime.status_page.encoding import ABSENT, TextBudget, collect, encode
from ductaflow_runtime.status_page.figures import FigureReader
from ductaflow_runtime.status_page.notebook_figures import notebook_figures
from ductaflow_runtime.status_page.rows import RowReader
from tests.status_page.reading import block, column

HOSTILE = "</script><script>alert(1)</script><!-- \" ' & \u2028 \u202e"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_lists_every_instance_with_config_and_results(runs: Path) -> None:
    """A row holds the dotted config and the saved results of its instance."""
    write_instance(runs, "assign", "b", config={"demand": {"factor": 0.5}}, results={"minutes": 65})
    write_instance(runs, "assign", "a", config={"demand": {"factor": 1.5}}, results={"minutes": 80})
    page = write_page(runs, title="Study")
    assert column(page, "about", "name") == ["a", "b"]
    assert column(page, "config", "demand.factor") == [1.5, 0.5]
    assert column(page, "result", "minutes") == [80, 65]


def test_orders_names_as_people_count(runs: Path) -> None:
    """`x9` comes before `x10`, `0.05` before `0.3`, `1e-05` before `0.001`, and version 1.9.0 before 1.10.2."""
    ordered = ["n0.05", "n0.3", "n1.5", "r1e-05", "r0.001", "v1.9.0", "v1.10.2", "X1", "x9", "x10"]
    for name in reversed(ordered):
        write_instance(runs, "step", name)
    assert column(write_page(runs, title=""), "about", "name") == ordered


def test_a_page_without_instances_is_written(runs: Path) -> None:
    """The page exists before the first instance does, also when `runs/` is not there yet."""
    page = write_page(runs, title="Empty")
    assert page == runs / "index.html"
    assert block(page, "page-data")["rows"] == 0


def test_a_damaged_record_costs_its_own_row_only(runs: Path) -> None:
    """The row says what is wrong, as its problem and as a failure to filter by; the others are as ever."""
    write_instance(runs, "step", "good")
    bad = write_instance(runs, "step", "bad")
    (bad / "run.json").write_text('{"schema": 1, "stat', encoding="utf-8")
    page = write_page(runs, title="")
    assert column(page, "about", "status") == ["damaged", "done"]
    problem = column(page, "about", "problem")[0]
    assert problem.startswith("run.json is not valid JSON (")
    assert column(page, "about", "failure")[0] == problem


def test_an_executed_folder_without_a_record_is_listed(runs: Path) -> None:
    """A folder with a config but no record is an instance that lost its record."""
    (runs / "step" / "lost").mkdir(parents=True)
    (runs / "step" / "lost" / "config.json").write_text("{}", encoding="utf-8")
    (runs / "step" / "new").mkdir()
    (runs / "step" / "notes.txt").write_text("", encoding="utf-8")
    page = write_page(runs, title="")
    assert column(page, "about", "name") == ["lost"]
    assert column(page, "about", "problem") == ["no run.json"]


def test_the_config_file_stands_in_for_a_lost_fingerprint(runs: Path) -> None:
    """A child that died early left no fingerprint, yet its row shows what it was given."""
    directory = write_instance(runs, "step", "a", fingerprint={}, status="failed")
    (directory / "run.json").write_text(json.dumps({"schema": 1, "status": "failed", "fingerprint": None}))
    (directory / "config.json").write_text('{"demand": 4000}', encoding="utf-8")
    assert column(write_page(runs, title=""), "config", "demand") == [4000]


def test_running_without_an_owner_is_interrupted(runs: Path) -> None:
    """A record says `running` for ever when its process was killed; whoever holds the folder is at it."""
    environment = {"host": host_name()}
    write_instance(runs, "step", "dead", status="running", environment=environment)
    live = write_instance(runs, "step", "live", status="running", environment=environment)
    writer = PageWriter(runs, "")
    with locked(live):
        assert column(writer.write(), "about", "status") == ["interrupted", "running"]
    page = writer.write()
    assert column(page, "about", "status") == ["interrupted"] * 2
    assert column(page, "about", "problem") == ["the process that ran it is gone"] * 2


def test_done_with_warnings_is_a_status_of_its_own(runs: Path) -> None:
    """Warnings turn the light of a finished instance orange, not that of a failed one."""
    write_instance(runs, "step", "a", warnings=2)
    write_instance(runs, "step", "b", warnings=2, status="failed")
    assert column(write_page(runs, title=""), "about", "status") == ["warnings", "failed"]


def test_failures_with_one_cause_form_one_group(runs: Path) -> None:
    """Messages that differ in numbers or in the instance's name are the same failure."""
    for name in ("north", "south"):
        message = f"no flow in {name}: gap 0.{len(name)}{ord(name[0])}"
        write_instance(runs, "step", name, status="failed", error={"type": "ValueError", "message": message, "cell": 4})
    write_instance(runs, "step", "x", status="failed", error={"type": "KeyError", "message": "'toll'", "cell": 2})
    labels = column(write_page(runs, title=""), "about", "failure")
    assert labels == ["ValueError: no flow in …: gap … in cell 4"] * 2 + ["KeyError 'toll' in cell 2"]


def test_nothing_from_a_user_can_end_a_script_or_start_a_tag(runs: Path) -> None:
    """Configs, names, errors, logs and the title stay data, whatever they hold."""
    error = {"type": HOSTILE, "message": HOSTILE, "cell": 1, "traceback": HOSTILE}
    write_instance(runs, "step", "a", config={HOSTILE: HOSTILE}, results={HOSTILE: [HOSTILE]}, error=error, log=HOSTILE)
    page = write_page(runs, title=HOSTILE)
    text = page.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text
    assert "\u2028" not in "".join(re.findall(r"(?s)<script.*?</script>", text))
    assert column(page, "config", HOSTILE) == [HOSTILE]


def test_only_the_scripts_of_this_package_may_run(runs: Path) -> None:
    """The policy names the hash of the one script and of the one style sheet, and allows no address."""
    text = write_page(runs, title="").read_bytes().decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert "http" not in policy[1]
    for source in (r"<style>(.*?)</style>", r"<script>(.*?)</script>"):
        parts = re.findall(source, text, re.DOTALL)
        assert len(parts) == 1
        digest = base64.b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_the_page_without_data_is_small(runs: Path) -> None:
    """Libraries, styles and scripts together stay far below a megabyte."""
    assert write_page(runs, title="").stat().st_size < 250_000


def test_writing_replaces_the_page_and_leaves_nothing_else(runs: Path) -> None:
    """A reader sees the old page or the new one; beside it only instances and `.ductaflow/` appear."""
    write_instance(runs, "step", "a")
    old = write_page(runs, title="").stat().st_ino
    page = write_page(runs, title="")
    assert page.stat().st_ino != old
    assert sorted(path.name for path in runs.iterdir()) == [".ductaflow", "index.html", "step"]
    hidden = {path.relative_to(runs).as_posix() for path in (runs / ".ductaflow").rglob("*") if path.is_file()}
    assert hidden == {".ductaflow/page/rows.jsonl"}


def test_a_failed_writing_keeps_the_old_page(runs: Path) -> None:
    """When the page cannot be replaced, the error is raised and no scrap stays."""
    (runs / "index.html").mkdir(parents=True)
    with pytest.raises(OSError, match=r"index\.html"):
        write_page(runs, title="")
    assert list((runs / ".ductaflow").iterdir()) == []


def test_only_changed_records_are_parsed_again(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer re-reads a record when its file changed, so that a sweep can rewrite the page often."""
    write_instance(runs, "step", "kept", results={"x": 1})
    changed = write_instance(runs, "step", "changed", results={"x": 1}) / "run.json"
    writer = PageWriter(runs, "")
    writer.write()
    changed.write_bytes(changed.read_bytes().replace(b'"x": 1', b'"x": 70'))
    looked_at: list[str] = []
    original = rows.look
    monkeypatch.setattr(rows, "look", lambda directory: looked_at.append(directory.name) or original(directory))
    assert column(writer.write(), "result", "x") == [70, 1]
    assert looked_at == ["changed"]


def test_instances_that_vanish_leave_the_page(runs: Path) -> None:
    """A deleted folder is not remembered."""
    directory = write_instance(runs, "step", "a")
    writer = PageWriter(runs, "")
    writer.write()
    (directory / "run.json").unlink()
    assert block(writer.write(), "page-data")["rows"] == 0


def test_a_sweep_rewrites_the_page_at_most_every_two_seconds(runs: Path) -> None:
    """Asking more often does nothing; the last writing of a sweep is never skipped."""
    writer = PageWriter(runs, "")
    assert writer.write_if_due()
    assert not writer.write_if_due()
    assert block(runs / "index.html", "page-about")["running"] is True
    assert block(writer.write(), "page-about")["running"] is False


def test_figures_come_from_the_notebook(runs: Path) -> None:
    """A figure is named by the flow's own cell, not counting the one that papermill injects."""
    directory = write_instance(runs, "step", "a", figure=png())
    media, data, cell = notebook_figures(directory / "assign_traffic.ipynb")[0][0]
    assert (media, base64.b64decode(data), cell) == ("image/png", png(), 2)
    (directory / "assign_traffic.ipynb").write_text("{", encoding="utf-8")
    assert notebook_figures(directory / "assign_traffic.ipynb") == ([], 0)


def test_figures_stop_at_their_budget(runs: Path) -> None:
    """The newest instances and the failed ones keep their figures when not all fit."""
    for day in range(1, 6):
        write_instance(runs, "step", f"d{day}", figure=png(), started=f"2025-01-0{day}T00:00:00+00:00")
    size = len(base64.b64encode(png()))
    figures = FigureReader(runs).read(RowReader(runs).read(), 2 * size)
    assert sorted(figures["shown"]) == [3, 4]
    assert figures["left"] == {0: 1, 1: 1, 2: 1}


def test_the_log_is_cut_to_its_end(tmp_path: Path) -> None:
    """A long log contributes its last whole lines, without colours, and says that it was cut."""
    log = tmp_path / "run.log"
    log.write_text("".join(f"\x1b[32mline {n:05d}\x1b[0m\n" for n in range(5000)), encoding="utf-8")
    lines = log_tail(log, log.stat().st_size).splitlines()
    assert lines[0] == "…"
    assert lines[-1] == "line 04999"
    assert len(lines) == 41


def test_equal_tracebacks_are_stored_once(runs: Path) -> None:
    """A hundred equal failures cost one traceback."""
    for n in range(100):
        error = {"type": "E", "message": "m", "cell": 1, "traceback": "\x1b[31mdeep\x1b[0m\ndeeper"}
        write_instance(runs, "step", f"n{n}", status="failed", error=error)
    details = block(write_page(runs, title=""), "page-details")
    assert details["texts"] == ["deep\ndeeper"]
    assert {row["error"]["traceback"] for row in details["rows"].values()} == {0}


def test_ten_thousand_instances_fit_their_budget(runs: Path) -> None:
    """The data of a big sweep grow slowly: measured on 300 instances, scaled to 10,000."""
    write_sweep(runs, 300)
    size = write_page(runs, title="").stat().st_size
    assert (size - 200_000) / 300 * 10_000 < 15_000_000


def test_columns_keep_types_and_absence() -> None:
    """`null`, an absent key, true and 1, big integers, lists, NaN and infinities stay apart."""
    budget = TextBudget(10_000)
    assert encode([1, True, 1.5, None, ABSENT], budget) == {"d": [1, True, 1.5, None], "c": [0, 1, 2, 3]}
    assert encode([ABSENT, 0.25, None, 0.5], budget) == {
        "at": 1,
        "number": True,
        "n": [0.25, None, 0.5],
        "z": [2],
    }
    assert encode([2**60, [1, 2], float("inf")], budget)["d"] == [
        {"j": str(2**60)},
        {"j": "[1, 2]"},
        {"j": "inf"},
    ]
    nan = float("nan")
    assert encode([0.25, nan, None, float("-inf"), 0.5], budget) == {
        "number": True,
        "n": [0.25, None, None, None, 0.5],
        "z": [2],
        "x": [[1, "nan"], [3, "-inf"]],
    }
    assert encode([2, 2, 2, 2, nan, float("nan"), nan], budget) == {
        "number": True,
        "d": [2, {"j": "nan"}],
        "c": [0, 0, 0, 0, 1, 1, 1],
    }
    assert collect([{"a": 1}, {"b": 2}]) == {"a": [1, ABSENT], "b": [ABSENT, 2]}


def test_long_texts_are_cut_but_stay_different() -> None:
    """Two long texts with the same beginning are still two values."""
    encoded = encode(["x" * 5000 + "1", "x" * 5000 + "2"], TextBudget(100))
    assert encoded["c"] == [0, 1]
    assert encoded["d"][0].endswith("… (5,001 characters)")


def test_the_last_sweep_ends_where_nothing_ran_for_a_minute() -> None:
    """Executions from yesterday are not part of today's timeline."""
    assert last_sweep_start([(0, 5_000), (900_000, 905_000), (906_000, 990_000), (991_000, 999_000)]) == 900_000
    assert last_sweep_start([]) is None

"""Charts of texts, means and panels, and rows to take along."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.page_samples import write_instance
from ductaflow_runtime.runs.record import read_record, write_record
from ductaflow_runtime.status_page import write_page
from tests.status_page.driving import ROWS, click, hover_and_click, text, until

pytestmark = pytest.mark.slow
MODELS = ("logit", "random forest", "svm")
DRAWN = """
const marks = (canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
return [...document.querySelectorAll('.plot canvas')].map((canvas) => marks(canvas).filter(Boolean).length);
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The accuracy of three models, with five seeds each, on two data sets."""
    runs = tmp_path_factory.mktemp("models") / "runs"
    for number, model in enumerate(MODELS):
        for seed in range(5):
            for data in ("digits", "wine"):
                config = {"model": model, "seed": seed, "data": data}
                results = {"accuracy": 0.7 + 0.1 * number + 0.01 * seed, "note": 'a, "b"', "big": 2**60}
                write_instance(runs, "train", f"{model}_{data}_{seed}", config=config, results=results)
    write_instance(runs, "train", "broken", config={"model": "svm", "seed": 9, "data": "wine"}, status="failed")
    return write_page(runs, title="Models")


def test_texts_on_an_axis(show: Any, models: Path) -> None:
    """Accuracy by model: a place for each text, and a point still names and opens its instance."""
    browser = show(models, "view=chart&x=config.model&y=result.accuracy&colour=none")
    assert "30 points" in text(browser, "#view-chart")
    assert text(browser, "#choose-means") == "Means"
    name = hover_and_click(browser)
    assert text(browser, "#detail h2") == name


def test_means_with_their_spread(show: Any, models: Path) -> None:
    """They are there at once where a text is on the axis, can be switched off, and the address keeps that."""
    browser = show(models, "view=chart&x=config.model&y=result.accuracy&colour=config.data")
    assert "Large marks are means" in text(browser, "#view-chart")
    with_means = browser.execute_script(DRAWN)
    click(browser, "#choose-means")
    assert "Large marks are means" not in text(browser, "#view-chart")
    assert "means=off" in browser.current_url
    assert browser.execute_script(DRAWN) != with_means
    browser = show(models, "view=chart&x=config.seed&y=result.accuracy&means=on")
    assert "Large marks are means" in text(browser, "#view-chart")


def test_means_are_not_offered_where_every_point_stands_alone(show: Any, sweep: Path) -> None:
    """A continuous axis has no groups, and a text on the vertical one no mean."""
    browser = show(sweep, "view=chart&x=result.mean_travel_time_min&y=result.iterations")
    assert text(browser, "#choose-means") == ""
    browser = show(sweep, "view=chart&x=config.demand_factor&y=config.network&means=on")
    assert text(browser, "#choose-means") == ""


def test_small_multiples(show: Any, models: Path) -> None:
    """One panel for each value of a column, all on one scale."""
    browser = show(models, "view=chart&x=config.seed&y=result.accuracy&panels=config.model")
    titles = browser.execute_script("return [...document.querySelectorAll('.panel h3')].map(h => h.innerText)")
    assert titles == [f"model: {model} (10)" for model in MODELS]
    assert browser.execute_script("return document.querySelectorAll('.panel canvas').length") == 3
    assert all(count > 500 for count in browser.execute_script(DRAWN))
    browser = show(models, "view=chart&x=config.seed&y=result.accuracy&panels=config.model&f.config.model=svm")
    titles = browser.execute_script("return [...document.querySelectorAll('.panel h3')].map(h => h.innerText)")
    assert titles == ["model: svm (10)"]


def test_what_is_filtered_can_be_saved(show: Any, models: Path, tmp_path: Path) -> None:
    """The file holds the rows that are left, in their order, with all their columns and exact values."""
    browser = show(models, "f.config.model=svm&sort=result.accuracy:desc")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "#save")
    path = until(lambda: next(tmp_path.glob("*.csv"), None))
    until(lambda: path.stat().st_size > 0)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert path.name == "Models.csv"
    assert len(rows) == 11
    assert {row["model"] for row in rows} == {"svm"}
    assert [row["result.accuracy"] for row in rows][:2] == [str(0.7 + 0.1 * 2 + 0.01 * 4)] * 2
    assert rows[0]["result.note"] == 'a, "b"'
    assert rows[0]["result.big"] == str(2**60)
    assert (rows[-1]["instance_name"], rows[-1]["status"], rows[-1]["result.accuracy"]) == ("broken", "failed", "")
    assert rows[0]["started"] == "2025-11-20T09:30:00.000Z"


def test_numbers_that_json_has_not(show: Any, tmp_path: Path) -> None:
    """NaN and infinities are shown and saved as such, in a column that stays one of numbers and is drawn."""
    given = [0.5, float("nan"), 1.5, float("inf"), 2.5, None]
    for number, loss in enumerate(given):
        write_instance(tmp_path / "runs", "train", f"s{number}", config={"seed": number}, results={})
        record = read_record(tmp_path / "runs" / "train" / f"s{number}")
        assert record is not None
        write_record(record.but(results={"loss": loss}))
    page = write_page(tmp_path / "runs", title="Losses")
    browser = show(page, "")
    losses = browser.execute_script(f"{ROWS}.map((tr) => tr.querySelectorAll('.num')[1].innerText)")
    assert losses == ["0.5", "nan", "1.5", "inf", "2.5", "null"]
    assert "3 points" in text(show(page, "view=chart&x=config.seed&y=result.loss&colour=none"), "#view-chart")
    browser = show(page, "f.result.loss=inf")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "#save")
    path = until(lambda: next(tmp_path.glob("*.csv"), None))
    until(lambda: path.stat().st_size > 0)
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert [row["result.loss"] for row in csv.DictReader(file)] == ["inf"]

"""A study as people name it: dates, decimals in names, defaults, and how a failure is taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.page_samples import write_instance
from ductaflow_runtime.status_page import Staleness, write_page
from tests.status_page.driving import ROWS, click, names, text, typed

pytestmark = pytest.mark.slow
CODE = {"cells": [], "text": None, "defaults": {"gamma": 0.1}, "takes_config": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days of results; one row gives a parameter, one has failed, one has lost its row."""
    runs = tmp_path_factory.mktemp("study") / "runs"
    for day, beta in enumerate(("0.05", "0.1", "0.15", "0.2", "0.3"), 1):
        name = f"north_beta{beta}_of_the_second_series"
        failed = {"status": "failed", "error": {"type": "KeyError", "message": "'x'", "cell": 1}} if day == 2 else {}
        write_instance(
            runs,
            "seir",
            name,
            config={"since": f"2026-01-0{day}"} | ({"gamma": 0.2} if day == 5 else {}),
            started=f"2026-02-0{day}T12:00:00+00:00",
            command=f"ductaflow run flow/seir.py --config 'results of mine/seir/{name}/config.json'",
            fingerprint={"config": {}, "code": CODE, "modules": {}, "inputs": {}, "packages": {}},
            **failed,
        )
    lost = frozenset([("seir", "north_beta0.3_of_the_second_series")])
    return write_page(runs, title="SEIR", staleness=Staleness({}, rowless=lost))


def betas(browser: Any) -> list[str]:
    return [name.partition("beta")[2].partition("_")[0] for name in names(browser)]


def test_names_are_in_the_order_of_their_numbers(show: Any, study: Path) -> None:
    """Decimals by value, when the page opens and when somebody sorts."""
    ordered = ["0.05", "0.1", "0.15", "0.2", "0.3"]
    assert betas(show(study)) == ordered
    assert betas(show(study, "sort=about.name:desc")) == ordered[::-1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (">=2026-01-04", ["0.2", "0.3"]),
        ("<2026-01-02", ["0.05"]),
        ("2026-01-02..2026-01-03", ["0.1", "0.15"]),
        ("2026-01-03", ["0.15"]),
        (">2026", []),
    ],
)
def test_dates_are_compared(show: Any, study: Path, wanted: str, found: list[str]) -> None:
    """What was given as a date, as far as it is written."""
    browser = show(study)
    typed(browser, 'input[data-id="config.since"]', wanted)
    assert betas(browser) == found


def test_times_are_compared(show: Any, study: Path) -> None:
    """When a row began, by the day, which counts to its end."""
    browser = show(study)
    typed(browser, 'input[data-id="about.started"]', "<=2026-02-02")
    assert betas(browser) == ["0.05", "0.1"]
    assert "2026-01-01" in text(browser, "#rows tr[data-index]")  # a date is no number that is a text


def test_a_default_and_a_lost_row_are_shown(show: Any, study: Path) -> None:
    """A row that leaves a parameter to the flow has its default; one without a row says so."""
    browser = show(study)
    cells = f"return {ROWS.removeprefix('return ')}.map(tr => tr.innerText)"
    rows = browser.execute_script(cells)
    assert ["0.1" in row.split("\t") for row in rows] == [True] * 4 + [False]
    assert ["no row any more" in row for row in rows] == [False] * 4 + [True]


def test_a_failure_names_the_command_that_takes_it_apart(show: Any, study: Path) -> None:
    """As it is typed in the project; nothing of it at a row that is done."""
    browser = show(study, "open=seir/north_beta0.1_of_the_second_series")
    assert text(browser, "#debug") == "ductaflow debug 'results of mine/seir/north_beta0.1_of_the_second_series'"
    assert text(show(study, "open=seir/north_beta0.2_of_the_second_series"), "#debug") == ""


def test_headings_of_a_comparison_stay_whole(show: Any, study: Path) -> None:
    """Five instances side by side: neither a name nor a button nor what a line is about is broken within its words."""
    chosen = "&".join(
        f"with=seir/north_beta{beta}_of_the_second_series" for beta in ("0.05", "0.1", "0.15", "0.2", "0.3")
    )
    browser = show(study, f"view=compare&{chosen}")
    assert len(browser.find_elements("css selector", ".compare thead th")) == 5
    lines = browser.execute_script(
        "return [...document.querySelectorAll('.compare thead a bdi, .compare thead button, .compare tbody th bdi')]"
        ".filter(node => node.closest('thead') || !node.innerText.includes(' '))"
        ".map(node => node.getClientRects().length)"
    )
    assert set(lines) == {1}
    click(browser, ".compare-tools button:not([aria-label])")

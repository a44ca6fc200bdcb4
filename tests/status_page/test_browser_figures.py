"""Figures: none is dropped in silence, and two can be laid over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.page_samples import png, write_instance
from ductaflow_runtime.status_page import build, write_page
from tests.status_page.driving import click, text, until

pytestmark = pytest.mark.slow
ABOVE = "return document.querySelector('.pair-above')"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("drawn") / "runs"
    for number, name in enumerate(("base", "shortcut", "toll")):
        write_instance(runs, "assign", name, config={"n": number}, figure=png(seed=number))
    return write_page(runs, title="Drawn")


def test_what_does_not_fit_is_linked_and_told(show: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says how many are missing and where the limit is; the instance links to its notebook."""
    for day in range(1, 6):
        started = f"2025-01-0{day}T00:00:00+00:00"
        write_instance(tmp_path, "step", f"d{day}", config={"n": day}, figure=png(seed=day), started=started)
    monkeypatch.setattr(build, "FIGURE_BUDGET", 500)
    page = write_page(tmp_path, title="")
    browser = show(page, "open=step/d1")
    assert "1 instance with all of theirs in this page; those of 4 more did not fit" in text(browser, "#figure-note")
    assert "1 figure is in the notebook: this page had no room left." in text(browser, "#detail")
    link = browser.execute_script("return document.querySelector('#detail .note a').getAttribute('href')")
    assert link == "step/d1/assign_traffic.ipynb"
    browser = show(page, "view=compare&with=step/d5&with=step/d1")
    assert browser.execute_script("return document.querySelectorAll('.figure-cell img').length") == 1
    assert "1 figure is in the notebook" in text(browser, "#view-compare")


def test_a_page_with_all_figures_says_nothing_of_limits(show: Any, drawn: Path) -> None:
    """There is nothing to tell."""
    assert text(show(drawn), "#figure-note") == ""


def test_a_slider_uncovers_one_figure_over_another(show: Any, drawn: Path) -> None:
    """Baseline and another instance in one place, by mouse or arrow keys."""
    browser = show(drawn, "view=compare&with=assign/base&with=assign/toll")
    assert "inset(0px 50% 0px 0px)" in browser.execute_script(f"{ABOVE}.style.clipPath")
    assert "toll to the left of the line, base to the right" in text(browser, "#pair")
    browser.execute_script("""
      const slider = document.getElementById('pair-share');
      slider.value = 80;
      slider.dispatchEvent(new Event('input'));
    """)
    assert "inset(0px 20% 0px 0px)" in browser.execute_script(f"{ABOVE}.style.clipPath")


def test_two_figures_take_turns(show: Any, drawn: Path) -> None:
    """Blinking shows what has moved; it names the one in sight, and can be done by hand."""
    browser = show(drawn, "view=compare&with=assign/base&with=assign/toll&with=assign/shortcut")
    click(browser, "#pair .controls button:nth-of-type(2)")
    seen = set()
    until(lambda: seen.add(text(browser, "#pair figcaption")) or {"base", "toll"} <= seen)
    click(browser, "#pair .controls button:last-of-type")
    still = text(browser, "#pair figcaption")
    browser.execute_script("""
      const select = document.getElementById('pair-other');
      select.selectedIndex = 1;
      select.dispatchEvent(new Event('change'));
    """)
    seen.clear()
    until(lambda: seen.add(text(browser, "#pair figcaption")) or "shortcut" in seen)
    assert still in {"base", "toll"}


def test_one_instance_has_nothing_to_be_laid_over(show: Any, drawn: Path) -> None:
    """Two are needed."""
    browser = show(drawn, "view=compare&with=assign/base")
    assert browser.execute_script("return document.getElementById('pair')") is None

"""The page never misleads: what is out of date, what is the same, and where one was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.page_samples import write_instance, write_sweep
from ductaflow_runtime.status_page import PageWriter, Staleness, write_page
from tests.status_page.driving import ROWS, click, names, press, text, until

pytestmark = pytest.mark.slow
COLOURS = "prefers-color-scheme"
LOOKED = "2025-11-21T08:00:00+00:00"


@pytest.fixture(scope="module")
def outdated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three results: one out of date, one that was executed since somebody looked, one that failed."""
    runs = tmp_path_factory.mktemp("outdated") / "runs"
    write_instance(runs, "step", "old", config={"x": 1})
    write_instance(runs, "step", "since", config={"x": 2}, started="2025-11-22T00:00:00+00:00")
    write_instance(runs, "step", "broken", config={"x": 3}, status="failed")
    write_instance(runs, "step", "fresh", config={"x": 4})
    reasons = {("step", name): "code: cell 4" for name in ("old", "since", "broken")}
    return write_page(runs, title="Study", staleness=Staleness(reasons, LOOKED))


def test_what_is_no_longer_up_to_date_is_marked_with_its_reason(show: Any, outdated: Path) -> None:
    """Its light is hollow, the reason stands beside it, and it is counted; a failure keeps its own mark."""
    browser = show(outdated)
    hollow = f"{ROWS}.filter(tr => tr.querySelector('.light.hollow'))"
    shown = f"{hollow}.map(tr => tr.querySelector('[data-name=stale]').innerText)"
    assert browser.execute_script(shown) == ["code: cell 4"]
    assert "1 not up to date" in text(browser, "#steps")
    assert "Compared with code and data as of" in text(browser, "#live")
    click(browser, ".group-list.outdated .group")
    assert names(browser) == ["old"]
    browser.execute_script(f"{ROWS}[0].click()")
    assert "No longer up to date: code: cell 4" in text(browser, "#detail")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_bar_shows_what_is_no_longer_up_to_date(show: Any, outdated: Path, scheme: str) -> None:
    """Its part of the bar has a pattern and a colour of its own, and no result counts as good and as outdated."""
    browser = show(outdated)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": COLOURS, "value": scheme}]})
    try:
        parts = browser.execute_script(
            "return [...document.querySelectorAll('#steps .proportions span')]"
            ".map(part => [part.className, part.style.flexGrow, getComputedStyle(part).background])"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [(name, share) for name, share, _ in parts] == [("", "2"), ("", "1"), ("outdated", "1")]
    assert len({colours for _, _, colours in parts}) == 3
    assert "repeating-linear-gradient" in parts[-1][2]


def test_a_count_filters_what_is_no_longer_up_to_date(show: Any, outdated: Path) -> None:
    """A click shows these instances, whatever their reason; `*` does the same in any column."""
    browser = show(outdated)
    click(browser, '.status-count[title="Show only what is no longer up to date"]')
    assert names(browser) == ["old"]
    browser = show(outdated, "f.about.failure=*")
    assert names(browser) == ["broken"]


def test_without_a_comparison_the_page_says_so(show: Any, sweep: Path) -> None:
    """A green light tells how an execution ended; whether the result still holds, nobody has looked."""
    browser = show(sweep)
    assert "Not compared with the present code and data" in text(browser, "#live")
    assert browser.execute_script("return document.querySelectorAll('.hollow').length") == 0


def test_what_is_the_same_is_said_of_the_steps_that_have_it(show: Any, sweep: Path) -> None:
    """A value of one step is not the same in all rows; in that step's own view it is."""
    browser = show(sweep)
    told = text(browser, "#same")
    assert "Same in all rows of assign_traffic" in told
    assert "Same in all rows of compare_networks" in told
    browser = show(sweep, "step=assign_traffic")
    assert "Same in all rows of" not in text(browser, "#same")
    assert text(browser, "#same").startswith("Same in all rows")


def test_names_stay_in_sight_while_the_table_scrolls(show: Any, sweep: Path) -> None:
    """Sideways, the instance's name and its box remain; so does its heading."""
    browser = show(sweep)
    where = """
      const left = (selector) => document.querySelector(selector).getBoundingClientRect().left;
      const still = ['#rows [data-name=name]', '#columns [data-name=name]', '#rows .choose'];
      return [...still, '#rows [data-name=status]'].map(left);
    """
    before = browser.execute_script(where)
    browser.execute_script("document.getElementById('scroller').scrollLeft = 400")
    after = browser.execute_script(where)
    assert after[:3] == before[:3]
    assert after[3] == before[3] - 400


@pytest.mark.parametrize("width", [420, 1280, 1920])
def test_many_steps_leave_room_for_the_table(show: Any, tmp_path: Path, width: int) -> None:
    """Thirty steps are a list that scrolls, and nothing is wider than the window."""
    for number in range(30):
        write_instance(tmp_path, f"step_{number}", "a", config={"x": number}, status="failed" if number % 2 else "done")
    browser = show(write_page(tmp_path, title="Many"))
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.getElementById('scroller').getBoundingClientRect().top") < 500
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [390, 600, 800, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_few_steps_are_all_in_sight(show: Any, tmp_path: Path, width: int, scheme: str) -> None:
    """Three steps need no scrolling, however narrow; names that have no room are cut before their end."""
    write_sweep(tmp_path, 60)
    for step in ("compare_networks", "fit"):
        write_instance(tmp_path, step, "all")
    reasons = {("assign_traffic", path.name): "code: cell 4" for path in (tmp_path / "assign_traffic").iterdir()}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser = show(write_page(tmp_path, title="Few"))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": COLOURS, "value": scheme}]})
    try:
        browser = show(write_page(tmp_path, title="Few", staleness=Staleness(reasons)))
        box = "const box = document.getElementById('steps'); return [box.scrollHeight, box.clientHeight]"
        needed, there = browser.execute_script(box)
        assert needed <= there
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert "base_demand0.5000_gap0.001" in names(browser)
        cut = f"{ROWS}.filter(tr => tr.querySelector('.name-start')).length > 0"
        assert browser.execute_script(cut) == (width < 600)
        right = "return document.querySelector(arguments[0]).getBoundingClientRect().right"
        end, edge = (browser.execute_script(right, f"{each} [data-name=name]") for each in ("#rows", "#columns"))
        assert browser.execute_script(right, "#rows [data-name=name] bdi") <= end == edge
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_numbers_are_written_as_people_do(show: Any, tmp_path: Path) -> None:
    """Beside tiny ones, too: an exponent stands only where a number has too many zeros."""
    written = {1.215: "1.215", 0.0125: "0.0125", 3.2e-7: "3.200e\u22127", 18250.5: "18\u2009251", 0.0: "0"}
    for number, value in enumerate(written):
        write_instance(tmp_path, "step", f"r{number}", results={"rate": value})
    browser = show(write_page(tmp_path, title="Numbers"))
    at = "[...document.querySelectorAll('#columns [data-id]')].findIndex(th => th.dataset.id === 'result.rate') + 1"
    cells = f"const at = {at}; {ROWS}.map(tr => tr.children[at].innerText)"
    assert browser.execute_script(cells) == list(written.values())


FOCUSED = "return document.activeElement.textContent.trim() || document.activeElement.dataset.id"
PLACES = {
    "a heading": 'th[data-id="config.demand_factor"] button',
    "a filter": 'input[data-id="config.network"]',
    "a step": "#steps .step:nth-child(2) .step-name",
    "a button of the open row": "#detail .detail-buttons button:nth-child(2)",
}


@pytest.mark.parametrize("place", PLACES)
def test_the_keyboard_stays_where_it_was_when_the_page_is_renewed(show: Any, tmp_path: Path, place: str) -> None:
    """A page that reloads itself during a sweep does not throw anybody out."""
    write_sweep(tmp_path, 30)
    write_instance(tmp_path, "other", "a")
    writer = PageWriter(tmp_path, "Live")
    name = "base_demand0.5000_gap0.001"
    browser = show(writer.write(running=True), f"open=assign_traffic/{name}")
    browser.execute_script("document.querySelector(arguments[0]).focus()", PLACES[place])
    before = browser.execute_script(FOCUSED)
    browser.execute_script("window.old = true")
    write_instance(tmp_path, "assign_traffic", "zz_late")
    writer.write(running=True)
    until(lambda: browser.execute_script("return window.old === undefined && document.activeElement !== document.body"))
    assert browser.execute_script(FOCUSED) == before
    writer.write()


def test_the_keyboard_stays_on_what_was_pressed(show: Any, sweep: Path) -> None:
    """Choosing a step draws the list of steps anew; the next key still goes to it."""
    from selenium.webdriver.common.keys import Keys

    browser = show(sweep)
    browser.execute_script("document.querySelector('#steps .step:nth-child(3) .step-name').focus()")
    press(browser, Keys.ENTER)
    assert text(browser, "#count") == "1 instance"
    assert browser.execute_script(FOCUSED) == "compare_networks"

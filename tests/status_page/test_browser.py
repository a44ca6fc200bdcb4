"""The status page in a real browser: what people see, click and type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chromium
from benchmarks.page_samples import png, write_instance, write_sweep
from ductaflow_runtime.status_page import PageWriter, write_page
from tests.status_page.driving import ROWS, click, hover_and_click, names, press, text, typed, until

pytestmark = pytest.mark.slow
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&"


def test_shows_steps_with_lights_and_the_table(show: Any, sweep: Path) -> None:
    """The page opens with counts per step, in words and shapes, and the rows."""
    browser = show(sweep)
    assert browser.title == "Braess study"
    assert "181 instances" in text(browser, "#steps")
    assert "done with warnings" in text(browser, "#steps")
    assert names(browser)[0].startswith("base_demand0.5000")
    assert browser.execute_script("return document.querySelectorAll('#steps svg').length") > 4


def test_draws_only_the_rows_in_sight(show: Any, sweep: Path) -> None:
    """Scrolling shows other rows without having all of them in the document."""
    browser = show(sweep, "step=assign_traffic")
    first = names(browser)
    assert 5 < len(first) < 80
    browser.execute_script("document.getElementById('scroller').scrollTop = 1e6")
    until(lambda: any(name.startswith("toll_demand1.5") for name in names(browser)))
    assert first[0] not in names(browser)


def test_folds_away_what_is_the_same_in_all_rows(show: Any, sweep: Path) -> None:
    """Constant config values are listed once above the table, varying ones are columns."""
    browser = show(sweep, "step=assign_traffic")
    assert "assignment.max_iterations 5000" in text(browser, "#same")
    assert "demand_factor" in text(browser, "#columns")
    assert "max_iterations" not in text(browser, "#columns")


def test_sorts_by_a_column_in_both_directions(show: Any, sweep: Path) -> None:
    """A click on a heading sorts, a second one turns it round; rows without a value stay last."""
    browser = show(sweep, "step=assign_traffic")
    click(browser, 'th[data-id="result.mean_travel_time_min"] button')
    low = names(browser)[0]
    click(browser, 'th[data-id="result.mean_travel_time_min"] button')
    high = names(browser)[0]
    assert "demand0.5" in low
    assert "shortcut_demand1.5" in high
    sort = browser.execute_script(
        "return document.querySelector('th[data-id=\"result.mean_travel_time_min\"]').ariaSort"
    )
    assert sort == "descending"


def test_filters_by_column_and_by_search(show: Any, sweep: Path) -> None:
    """Texts filter by what they contain, numbers by comparison, and a search looks at everything."""
    browser = show(sweep, "step=assign_traffic")
    typed(browser, 'input[data-id="config.network"]', "shortcut")
    assert text(browser, "#count") == "60 of 180 instances"
    typed(browser, 'input[data-id="config.demand_factor"]', ">=1.5")
    assert text(browser, "#count") == "3 of 180 instances"
    click(browser, "#chips button:last-child")
    assert text(browser, "#count") == "180 instances"
    typed(browser, "#search", "TOLL_demand0.5000")
    assert text(browser, "#count") == "3 of 180 instances"
    typed(browser, "#search", "no such thing")
    assert "No instance matches" in text(browser, "#rows")


def test_a_light_filters_by_status(show: Any, sweep: Path) -> None:
    """A click on a count shows these instances, a second click all of them."""
    browser = show(sweep)
    count = browser.find_element("css selector", '.status-count[title="Show only failed"]')
    failed = count.text.split()[0]
    count.click()
    assert text(browser, "#count") == f"{failed} of 181 instances"
    click(browser, '.status-count[aria-pressed="true"]')
    assert text(browser, "#count") == "181 instances"


def test_failure_groups_filter_the_table(show: Any, sweep: Path) -> None:
    """Failures are grouped by cause; a click on a group shows its instances."""
    browser = show(sweep)
    label = text(browser, ".group")
    assert "KeyError 'toll' in cell 4" in label
    count = label.split()[0]
    click(browser, ".group")
    assert text(browser, "#count") == f"{count} of 181 instances"
    assert all(name.startswith("toll_") for name in names(browser))


def test_a_row_opens_to_everything_about_it(show: Any, sweep: Path) -> None:
    """An opened failure shows error, cell, traceback, config, command, log, figure and links."""
    browser = show(sweep, "f.about.failure==KeyError 'toll' in cell 4")
    browser.execute_script(f"{ROWS}[0].click()")
    shown = text(browser, "#detail")
    for expected in (
        "Error in cell 4",
        "KeyError",
        'costs = links["toll"]',
        "ran because: new",
        "bi-conjugate",
    ):
        assert expected in shown
    name = text(browser, "#detail h2")
    assert f"runs/assign_traffic/{name}/config.json" in text(browser, "#command")
    assert f"reading network for {name}" in text(browser, "#detail .log")
    until(lambda: browser.execute_script("return document.querySelector('#detail img').naturalWidth") == 48)
    links = browser.execute_script("return [...document.querySelectorAll('.links a')].map(a => a.getAttribute('href'))")
    assert f"assign_traffic/{name}/assign_traffic.ipynb" in links


def test_works_by_keyboard(show: Any, sweep: Path) -> None:
    """Search, move, choose, open, step on and close without a mouse."""
    from selenium.webdriver.common.keys import Keys

    browser = show(sweep, "step=assign_traffic")
    browser.find_element("css selector", "body").send_keys("/")
    press(browser, "base_")
    assert text(browser, "#count") == "60 of 180 instances"
    browser.execute_script("document.getElementById('scroller').focus()")
    press(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.SPACE)
    assert text(browser, "#tab-compare") == "Compare (1)"
    press(browser, Keys.ENTER)
    assert text(browser, "#detail h2") == names(browser)[2]
    press(browser, Keys.ESCAPE)
    assert browser.find_element("id", "detail").get_attribute("hidden")
    assert browser.execute_script("return document.activeElement.id") == "scroller"
    press(browser, Keys.END)
    until(lambda: browser.execute_script("return document.querySelector('tr.active')?.dataset.index") == "59")


def test_compares_chosen_instances(show: Any, sweep: Path) -> None:
    """Two chosen rows stand side by side: only what differs, differences to the baseline, figures."""
    browser = show(sweep, "step=assign_traffic&f.config.demand_factor==1.5&f.config.assignment.gap_target==0.001")
    for at in (0, 1):
        browser.execute_script(f"{ROWS}[{at}].querySelector('input').click()")
    click(browser, "#tab-compare")
    shown = text(browser, "#view-compare")
    assert "network" in shown
    assert "demand_factor" not in shown
    assert "+" in text(browser, ".difference")
    assert "%" in text(browser, ".difference")
    assert browser.execute_script("return document.querySelectorAll('.figure-cell img').length") == 2
    heads = "return [...document.querySelectorAll('.compare thead a')].map(a => a.innerText.trim())"
    before = browser.execute_script(heads)
    click(browser, ".compare-tools button:not([aria-label])")
    assert browser.execute_script(heads) == before[::-1]


def test_the_chart_names_and_opens_points(show: Any, sweep: Path) -> None:
    """Hovering a point names its instance, a click opens it."""
    browser = show(sweep, "view=chart&x=config.demand_factor&y=result.iterations&colour=config.network")
    assert text(browser, ".legend").split() == ["network", "base", "shortcut", "toll"]
    name = hover_and_click(browser)
    assert text(browser, "#detail h2") == name


def test_the_chart_takes_other_columns(show: Any, sweep: Path) -> None:
    """Axes and colour are chosen from all numeric columns, and the choice stays in the address."""
    browser = show(sweep, "view=chart")
    browser.execute_script("""
      const select = document.getElementById('choose-y');
      select.value = 'result.relative_gap';
      select.dispatchEvent(new Event('change'));
    """)
    assert "y=result.relative_gap" in browser.current_url
    assert browser.execute_script("return document.querySelector('.plot canvas').width") > 300


def test_the_timeline_shows_the_last_sweep_by_worker(show: Any, sweep: Path) -> None:
    """Each worker has a lane; a bar names its instance and opens it."""
    browser = show(sweep, "view=timeline")
    assert "The last sweep: 181 instances" in text(browser, "#view-timeline")
    name = hover_and_click(browser)
    assert text(browser, "#detail h2") == name


def test_a_link_keeps_the_view(show: Any, sweep: Path) -> None:
    """The address alone brings back step, filters, sorting, the open row and the choice."""
    browser = show(sweep, "step=assign_traffic")
    typed(browser, 'input[data-id="config.network"]', "toll")
    click(browser, 'th[data-id="config.demand_factor"] button')
    click(browser, 'th[data-id="config.demand_factor"] button')
    browser.execute_script(f"{ROWS}[1].querySelector('input').click()")
    browser.execute_script(f"{ROWS}[2].click()")
    before = [names(browser), text(browser, "#detail h2"), text(browser, "#tabs")]
    address = browser.current_url
    show(sweep, address.partition("#")[2])
    assert [names(browser), text(browser, "#detail h2"), text(browser, "#tabs")] == before
    browser.back()
    until(lambda: browser.current_url == "about:blank")


def test_a_link_to_an_instance_shows_its_row(show: Any, sweep: Path) -> None:
    """Whoever opens a link sees the instance in the table too, however far down it is."""
    name = "toll_demand1.5000_gap0.001"
    browser = show(sweep, f"step=assign_traffic&open=assign_traffic/{name}")
    until(lambda: name in names(browser))
    assert text(browser, "#detail h2") == name


def test_refreshes_during_a_sweep_without_losing_the_view(show: Any, tmp_path: Path) -> None:
    """A page rewritten by a running sweep shows the new rows, in the same view, until the sweep ends."""
    runs = tmp_path / "runs"
    write_sweep(runs, 120)
    writer = PageWriter(runs, "Live")
    page = writer.write(running=True)
    browser = show(page, "f.config.network=base&sort=about.name:desc&open=assign_traffic/toll_demand0.5000_gap0.001")
    assert "A sweep is running" in text(browser, "#live")
    browser.execute_script("document.getElementById('scroller').scrollTop = 260")
    write_instance(runs, "assign_traffic", "zz_late", config={"network": "base"})
    writer.write(running=True)
    until(lambda: text(browser, "#count") == "41 of 121 instances")
    assert text(browser, "#detail h2") == "toll_demand0.5000_gap0.001"
    assert browser.execute_script("return document.getElementById('scroller').scrollTop") == 260
    writer.write(running=False)
    until(lambda: text(browser, "#live").startswith("Written"))


@contextmanager
def fast_clock(browser: Any) -> Iterator[None]:
    """An hour of a page's timers is over in less than a second."""
    faster = "const real = window.setTimeout; window.setTimeout = (call, wait) => real(call, wait / 5_000)"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": faster})
    yield
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_a_finished_page_does_not_reload(show: Any, browser: Any, sweep: Path) -> None:
    """After the sweep the page stays as it is, for an hour at the least."""
    with fast_clock(browser):
        show(sweep)
        browser.execute_script("window.untouched = true")
        browser.execute_async_script("setTimeout(arguments[0], 3_600_000)")
        assert browser.execute_script("return window.untouched") is True


def test_text_from_users_stays_text(show: Any, tmp_path: Path) -> None:
    """Script, quotes, markup and characters that reverse text are shown, never obeyed."""
    name = 'a "b" <i>c<i> 50% #1 {x} übung \u202egpj'
    error = {"type": "<b>E", "message": EVIL, "cell": 1, "traceback": EVIL}
    config = {EVIL: EVIL, "reversed": "abc\u202egpj.exe", "list": ["</script>", {"k": "&amp;"}]}
    outputs = {"a b/ü#%?.csv": {"size": 1200}}
    host = {"host": EVIL, "python": EVIL}
    told = {"log": EVIL, "reason": EVIL, "command": EVIL, "environment": host, "results": {EVIL: EVIL}}
    shown = {"config": config, "error": error, "outputs": outputs, "figure": png()}
    write_instance(tmp_path, "step & <b>", name, status="failed", **shown, **told)
    write_instance(tmp_path, "step & <b>", "plain", config={EVIL: "other"}, results={EVIL: 1})
    browser = show(write_page(tmp_path, title=EVIL))
    for view in ("table", "chart", "timeline", "compare"):
        show(tmp_path / "index.html", f"view={view}")
        browser.execute_script(f"{ROWS}.forEach(tr => tr.click())")
    show(tmp_path / "index.html")
    browser.execute_script(f"{ROWS}[0].click()")
    assert browser.title == EVIL
    assert EVIL in text(browser, "#detail")
    assert "abc⟨U+202E⟩gpj.exe" in text(browser, "#detail")
    assert "\u202e" not in browser.execute_script("return document.body.innerText")
    assert browser.execute_script("return document.querySelectorAll('i, body img[src=x], main script').length") == 0
    assert browser.execute_script("return getComputedStyle(document.querySelector('td bdi')).unicodeBidi") == "isolate"


def test_links_reach_files_with_odd_names(show: Any, tmp_path: Path) -> None:
    """Spaces, %, #, ?, braces and umlauts in names do not break a link."""
    directory = write_instance(tmp_path, "step #1", "50% {x}? übung", outputs={"a b/ü#%?.csv": {"size": 3}})
    (directory / "a b").mkdir()
    (directory / "a b" / "ü#%?.csv").write_text("1,2", encoding="utf-8")
    browser = show(write_page(tmp_path, title=""), "open=" + "step %231/50%25 {x}? %C3%BCbung")
    link = browser.execute_script("return document.querySelector('.outputs a').href")
    browser.get(link)
    assert "1,2" in browser.page_source


def test_nothing_can_be_loaded_from_outside(browser: Any, sweep: Path) -> None:
    """Even injected code could not call home: the policy refuses every address."""
    browser.get(sweep.as_uri())
    blocked = browser.execute_async_script("""
      const done = arguments[0];
      const refused = [];
      addEventListener('securitypolicyviolation', (event) => {
        refused.push(event.effectiveDirective);
        if (refused.length === 3) done([refused.sort(), window.owned === undefined]);
      });
      const image = new Image();
      image.src = 'https://example.invalid/x.png';
      fetch('https://example.invalid/').catch(() => {});
      const script = document.createElement('script');
      script.textContent = 'window.owned = true';
      document.body.append(script);
    """)
    chromium.console(browser)
    assert blocked == [["connect-src", "img-src", "script-src-elem"], True]


def test_the_scripts_leave_no_globals(show: Any, sweep: Path, tmp_path: Path) -> None:
    """What the page's modules and libraries define stays among them."""
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    names_there = "return Object.keys(window).sort()"
    assert show(sweep, "view=chart").execute_script(names_there) == show(empty).execute_script(names_there)


def test_one_instance_and_none(show: Any, tmp_path: Path) -> None:
    """A page with nothing says what to run; one with a single row shows its whole config."""
    browser = show(write_page(tmp_path / "none", title="None"))
    assert "python conductor.py" in text(browser, "main")
    write_instance(tmp_path / "one", "step", "only", config={"demand": 4000})
    show(write_page(tmp_path / "one", title="One"))
    assert names(browser) == ["only"]
    assert "demand 4000" in text(browser, "#same")


def test_print_shows_the_rows_and_no_controls(show: Any, sweep: Path) -> None:
    """On paper all rows appear, not only those in sight."""
    browser = show(sweep)
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert len(names(browser)) == 181
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(names(browser)) < 100


def test_ten_thousand_instances_open_and_filter(show: Any, tmp_path: Path) -> None:
    """A big sweep opens, and answers in less time than that takes; exact times are the benchmark's business."""
    write_sweep(tmp_path, 10_000)
    page = write_page(tmp_path, title="Big")
    assert page.stat().st_size < 15_000_000
    browser = show(page)
    opened = browser.execute_script("return performance.getEntriesByName('drawn')[0].startTime")
    cost = browser.execute_script("""
      const input = document.querySelector('input[data-id="about.name"]');
      input.value = 'shortcut';
      const began = performance.now();
      input.dispatchEvent(new Event('input'));
      return performance.now() - began;
    """)
    assert text(browser, "#count").startswith("3333 of 10")
    assert cost < opened


@contextmanager
def coloured(browser: Any, scheme: str) -> Iterator[None]:
    """While the person prefers a colour scheme."""

    def prefer(scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    prefer(scheme)
    try:
        yield
    finally:
        prefer("light")


def test_dark_mode_has_readable_contrast(show: Any, browser: Any, sweep: Path) -> None:
    """Text keeps a contrast of 4.5 to 1 in both colour schemes."""
    grounds = []
    for scheme in ("light", "dark"):
        with coloured(browser, scheme):
            show(sweep)
            ratios = json.loads(browser.execute_script(CONTRAST))
            grounds.append(browser.execute_script(GROUND))
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
    assert grounds[0] != grounds[1]


GROUND = "return getComputedStyle(document.documentElement).getPropertyValue('--page')"
CONTRAST = """
const style = getComputedStyle(document.documentElement);
const light = (name) => {
  const hex = style.getPropertyValue('--' + name).trim();
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratios = {};
for (const ground of ['page', 'panel', 'sunken', 'chosen']) {
  for (const ink of ['text', 'muted', 'link', 'alarm', 'warning']) {
    const [a, b] = [light(ground), light(ink)].sort((x, y) => y - x);
    ratios[ink + ' on ' + ground] = (a + 0.05) / (b + 0.05);
  }
}
return JSON.stringify(ratios);
"""

"""How fast the status page is written, opened and filtered: `python -m benchmarks.page [10000 100000]`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.chromium import chromium
from benchmarks.page_samples import write_sweep
from ductaflow_runtime.status_page import PageWriter

LOAD = "return performance.getEntriesByName('drawn')[0].startTime"
KEYSTROKE = """
const [selector, text, done] = arguments;
const input = document.querySelector(selector);
input.focus();
input.value = text;
const began = performance.now();
input.dispatchEvent(new Event("input", { bubbles: true }));
const answered = performance.now();
requestAnimationFrame(() => setTimeout(() => {
  done([answered - began, performance.now() - began, document.getElementById("count").textContent]);
}));
"""
SORT = """
const done = arguments[0];
const began = performance.now();
document.querySelector('th[data-id="about.name"] button').click();
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
"""


def main(counts: list[int]) -> None:
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder) / "runs"
            write_sweep(runs, count, figures=count <= 10_000)
            measure(runs, count, Path(folder) / "profile")


def measure(runs: Path, count: int, profile: Path) -> None:
    writer = PageWriter(runs, "Benchmark")
    first, again = (timed(writer.write) for _ in range(2))
    size = (runs / "index.html").stat().st_size / 1e6
    show(f"{count:,} instances: written in {first:.2f} s, again in {again:.2f} s, {size:.1f} MB")
    with chromium(profile) as driver:
        url = (runs / "index.html").as_uri()
        began = time.perf_counter()
        driver.get(url)
        loaded = time.perf_counter() - began
        drawn = driver.execute_script(LOAD) / 1000
        show(f"  opened in {loaded:.2f} s, the table drawn {drawn:.2f} s after navigation")
        for selector, text in (
            ("#search", "s"),
            ("#search", "sho"),
            ("#search", "1.2"),
            ("#search", ""),
            ('input[data-id="about.name"]', "toll"),
            ('input[data-id="result.mean_travel_time_min"]', ">80"),
        ):
            script, frame, answer = keystroke(driver, selector, text)
            show(f"  {selector} {text!r}: {script:.0f} ms, on screen after {frame:.0f} ms ({answer})")
        show(f"  sorted by name in {driver.execute_async_script(SORT):.0f} ms")


def keystroke(driver: Any, selector: str, text: str) -> Any:
    return driver.execute_async_script(KEYSTROKE, selector, text)


def timed(action: Any) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [10_000, 100_000])

"""One browser for all tests of a process, and a page to open in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chromium
from benchmarks.page_samples import write_instance, write_sweep
from ductaflow_runtime.status_page import write_page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if chromium.missing() is not None:
        pytest.skip(chromium.missing() or "")
    with chromium.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("sweep") / "runs"
    write_sweep(runs, 180, figures=True)
    write_instance(runs, "compare_networks", "all", config={"networks": ["base", "toll"]}, results={"best": "toll"})
    return write_page(runs, title="Braess study")


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page at a fragment; afterwards nothing may be on the console, nothing requested but files."""

    def open_at(page: Path, fragment: str = "") -> Any:
        browser.get("about:blank")
        browser.get(f"{page.as_uri()}#{fragment}")
        return browser

    chromium.console(browser), chromium.requests(browser)
    yield open_at
    assert chromium.console(browser) == []
    assert [url for url in chromium.requests(browser) if not url.startswith(("file:", "about:"))] == []

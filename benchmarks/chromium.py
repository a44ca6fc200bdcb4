"""A headless Chromium for tests and benchmark of the page: a profile of its own, nothing in the background."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BACKGROUND = "--disable-quic --disable-background-networking --disable-component-update --disable-sync"
ARGUMENTS = f"--headless=new --no-sandbox --disable-gpu --no-first-run {BACKGROUND}".split()


def missing() -> str | None:
    """Why there can be no browser here, or None."""
    if shutil.which("chromium") is None:
        return "chromium is not installed"
    return None if shutil.which("chromedriver") else "chromedriver is not installed"


@contextlib.contextmanager
def chromium(profile: Path, *, width: int = 1400, height: int = 900, dark: bool = False) -> Iterator[Any]:
    """A selenium driver; its console and network events are kept for `console` and `requests`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (*ARGUMENTS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        driver.get("about:blank")
        requests(driver)  # forgets those of Chromium's own start page
        yield driver
    finally:
        driver.quit()


def console(driver: Any) -> list[str]:
    """Messages on the console since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requests(driver: Any) -> list[str]:
    """Addresses requested since the last call, without the page's own data."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent if not one["request"]["url"].startswith("data:")]

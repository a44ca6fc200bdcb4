"""Makes docs/page.png from the status page of a real sweep: `python docs/screenshot.py runs`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

BACKGROUND = "--disable-quic --disable-background-networking --disable-component-update --disable-sync"
ARGUMENTS = f"--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run {BACKGROUND}".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="a runs folder with index.html")
    parser.add_argument("--view", default="", help="the part of the page's address after #, such as view=chart")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("page.png"))
    parser.add_argument("--size", default="1280,720", help="width,height in pixels")
    given = parser.parse_args()
    take(given.runs / "index.html", given.view, given.output, given.size)


def take(page: Path, view: str, output: Path, size: str) -> None:
    """Photographs `page` as it looks at `view`."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("chromium is not installed")
    if not page.is_file():
        raise SystemExit(f"{page} does not exist: run the conductor, or `ductaflow report`")
    with tempfile.TemporaryDirectory() as profile:
        picture = f"--screenshot={output.resolve()}"
        address = f"{page.resolve().as_uri()}#{view}"
        command = [browser, *ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={size}", picture, address]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

"""Puts styles, scripts and data into one HTML file that may load nothing from outside.

The data are JSON in script elements that never run. Only the scripts of this package do, by their hash.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
from pathlib import Path
from typing import Any

from ductaflow_runtime.runs.states import OUTDATED, STATES, Status
from ductaflow_runtime.status_page.bundle import Library, bundle

HERE = Path(__file__).parent
LIBRARIES = {"uplot": ("uPlot", "uPlot.iife.min.js"), "virtual-core": ("VirtualCore", "virtual-core.iife.min.js")}
ENTRY = "main"
STYLES = ("vendor/uPlot.min.css", "page.css")
POLICY = (
    "default-src 'none'; img-src data:; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"
)
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page_html(title: str, blocks: dict[str, str]) -> str:
    """The whole page; `blocks`, as from `script_json`, become `<script type="application/json" id=...>`."""
    before, after = _frame()
    data = "\n".join(f'<script type="application/json" id="{name}">{block}</script>' for name, block in blocks.items())
    return before.replace("{{title}}", html.escape(title, quote=True)) + data + after


def script_json(value: Any) -> str:
    """JSON that cannot end its script element: ASCII only, without `<`, `>` and `&`."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES)


@functools.cache
def _frame() -> tuple[str, str]:
    """The page around its data, which stays the same from one writing to the next."""
    style = "\n".join([*map(_asset, STYLES), state_colours()])
    script = _script()
    policy = POLICY.format(style=_hash(style), script=_hash(script))
    page = _asset("page.html")
    for name, text in (("policy", policy), ("style", style), ("script", script)):
        page = page.replace("{{" + name + "}}", text)
    before, _, after = page.partition("{{data}}")
    return before, after


def _script() -> str:
    libraries = {name: Library(variable, _asset(f"vendor/{file}")) for name, (variable, file) in LIBRARIES.items()}
    modules = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "js").glob("*.js"))}
    return bundle(modules, libraries, ENTRY)


def state_colours() -> str:
    """A style variable for each state, by its place in the table, and three by their meaning."""
    alarm = next(place for place, state in enumerate(STATES.values()) if state.failure)
    warning = list(STATES).index(Status.WARNED)
    light, dark = (
        "".join(f"--state-{place}: {getattr(state, scheme)}; " for place, state in enumerate(STATES.values()))
        + f"--outdated: {outdated}; "
        for scheme, outdated in zip(("light", "dark"), OUTDATED, strict=True)
    )
    return (
        f":root {{ {light}--alarm: var(--state-{alarm}); --warning: var(--state-{warning}); }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-print]) {{ {dark}}} }}"
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

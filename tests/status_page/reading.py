"""What a written page holds, read from its file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def block(page: Path, name: str) -> Any:
    """One of the page's JSON blocks."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert match is not None
    return json.loads(match[1])


def column(page: Path, group: str, name: str) -> list[Any]:
    """The values of one column, None where a row has none."""
    data = block(page, "page-data")
    found = next(one["values"] for one in data["columns"] if (one["group"], one["name"]) == (group, name))
    values = found["n"] if "n" in found else [None if code < 0 else found["d"][code] for code in found["c"]]
    start = found.get("at", 0)
    return [None] * start + values + [None] * (data["rows"] - start - len(values))

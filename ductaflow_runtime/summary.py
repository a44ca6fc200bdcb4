"""A config shown to a person: a table in a notebook, aligned text in a terminal."""

from __future__ import annotations

import html
import json
from typing import Any

from ductaflow_runtime.config import flatten
from ductaflow_runtime.execution import context as execution
from ductaflow_runtime.flow_api import is_notebook_execution

_LONGEST = 200


def display_config_summary(config: dict[str, Any], title: str = "") -> None:
    """Show a config, nested keys dotted: as a table in a notebook, as aligned text in a terminal."""
    rows = [(key, _shown(value)) for key, value in flatten(config).items()]
    width = max((len(key) for key, _ in rows), default=0)
    lines = [title or "Config", *(f"  {key:<{width}}  {value}" for key, value in rows)]
    text = "\n".join(lines if rows else [*lines, "  (empty)"])
    running = execution.current()
    if not (execution.in_kernel() if running is None else is_notebook_execution()):
        print(text)  # noqa: T201
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": _table(title, rows)}, raw=True)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(key)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for key, value in rows
    )
    caption = f'<caption style="text-align:left"><b>{html.escape(title or "Config")}</b></caption>'
    return f"<table>{caption}<tbody>{cells}</tbody></table>"

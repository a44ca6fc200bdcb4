"""What two executions of one notebook must have in common: the outputs, less what no two runs share.

Every rule below has its reason beside it. A rule that hides more than that reason is a hole in the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

Cell = dict[str, Any]

RULES: tuple[tuple[str, str], ...] = (
    (r"/[^\s\"]*/ipykernel_\d+/\d+\.py", "<cell file>"),  # the kernel's pid and a hash of the cell
    (r"\b0x[0-9a-f]{6,}\b", "0x<address>"),  # memory addresses
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?", "<time>"),  # the clock
    (r"CPU times: user .*", "CPU times: <times>"),  # %time
    (r"Wall time: .*", "Wall time: <time>"),
    (r"The slowest run took .*\n", ""),  # %timeit on a busy machine
    (r"(?<!\S)\S{1,12} \S{1,6} ± \S{1,12} \S{1,6} per loop", "<time> per loop"),  # %timeit
    (
        r"\|[^|]*\| (\d+/\d+) \[[^\]]*\]",
        r"| \1 [<rate>]",
    ),  # tqdm, its bar as long as the rate allows
    (r"in \d+\.\d{3} seconds", "in <time> seconds"),  # %prun
    (r"\b[0-9a-f]{32}\b", "<id>"),  # a widget's
    (r"Ran (\d+) tests? in \d+\.\d{3}s", r"Ran \1 in <time>"),  # unittest
    (r"(Process|Worker)-\d+", r"\1-<n>"),  # how many processes were made before
)
COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in RULES)


def cells_of(notebook: NotebookNode, project: Path) -> list[Cell]:
    """The notebook's own cells, normalised; what papermill and the runtime added is left out."""
    added = {"injected-parameters", "papermill-error-cell-tag", "ductaflow"}
    return [_cell(cell, project) for cell in notebook.cells if not added & set(cell.metadata.get("tags", []))]


def _cell(cell: NotebookNode, project: Path) -> Cell:
    tags = cell.metadata.get("tags", [])
    outputs = _joined(_plain(output, project) for output in cell.get("outputs", []))
    if "any-order" in tags:  # the kernel itself gives these outputs in any order
        outputs = _by_name(outputs)
    return {
        "cell_type": cell.cell_type,
        "source": cell.source,
        "tags": tags,
        "execution_count": cell.get("execution_count"),
        "outputs": outputs,
    }


def _plain(value: Any, project: Path) -> Any:
    """Dicts, lists and scalars, with every text normalised."""
    if isinstance(value, dict):
        return {key: _plain(item, project) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, project) for item in value]
    return _text(value, project) if isinstance(value, str) else value


def _text(text: str, project: Path) -> str:
    text = text.replace(str(project), "<project>")
    for pattern, replacement in COMPILED:
        text = pattern.sub(replacement, text)
    return text


def _joined(outputs: Iterable[Cell]) -> list[Cell]:
    """Neighbouring pieces of one stream as one: how a kernel cuts a stream up depends on its flush timer."""
    joined: list[Cell] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            joined.append(dict(output))
    for output in joined:
        if output["output_type"] == "stream":
            output["text"] = _as_shown(output["text"])
    return joined


def _as_shown(text: str) -> str:
    """The text as a reader sees it: a carriage return goes back and overwrites what was there."""
    return "\n".join(_overwritten(line) for line in text.split("\n"))


def _overwritten(line: str) -> str:
    shown = ""
    for piece in line.split("\r"):
        shown = piece + shown[len(piece) :]
    return shown


def _by_name(outputs: list[Cell]) -> list[Cell]:
    """Streams first, each as one and by name, then the rest in order."""
    streams: dict[str, Cell] = {}
    rest = []
    for output in outputs:
        if output["output_type"] != "stream":
            rest.append(output)
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            streams[output["name"]] = output
    return [streams[name] for name in sorted(streams)] + rest

"""Reads the probe files: percent notebooks in which a cell's title names the probe it belongs to.

They end in `.txt` because some are wrong on purpose (syntax errors) and no linter should mend them. A cell
without a title belongs to the probe above it. A probe is compared on its own, but one file is one notebook,
executed once: a kernel start costs a second, a cell a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

PROBES = Path(__file__).parent / "probes"
PREAMBLE = '# %% tags=["parameters"]\nconfig = {}\n\n'
CONFIG: dict[str, Any] = {
    "demand": 6.5,
    "place": 'Zürich "north"',
    "nested": {"count": 3, "flag": True, "nothing": None, "list": [1, 2.0, "3"]},
}


@dataclass(frozen=True)
class ProbeFile:
    """One probe notebook: its percent text, and for each of its cells the probe that the cell belongs to."""

    name: str
    text: str
    owners: tuple[str, ...]

    @property
    def probes(self) -> tuple[str, ...]:
        """The names of the file's probes, in their order."""
        return tuple(dict.fromkeys(self.owners))


def notebook_of(text: str) -> NotebookNode:
    """The notebook that a percent text stands for."""
    return jupytext.reads(text, fmt="py:percent")


def probe_files() -> Iterator[ProbeFile]:
    """Every probe file, by name."""
    for path in sorted(PROBES.glob("*.txt")):
        yield read_probe_file(path)


def read_probe_file(path: Path) -> ProbeFile:
    """One probe file, with the parameters cell that a flow must have put in front."""
    text = PREAMBLE + path.read_text(encoding="utf-8")
    owner, owners = "parameters", []
    for cell in notebook_of(text).cells:
        owner = cell.metadata.get("title", owner)
        owners.append(owner)
    return ProbeFile(path.stem, text, tuple(owners))

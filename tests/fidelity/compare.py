# ruff: noqa: T201 - a command whose product is what it prints
"""Executes probe notebooks on a real kernel and on an engine, and lists the differences cell by cell.

As a command: `python -m tests.fidelity.compare ENGINE [FILE...]`, where ENGINE is `fork`, `spawn`,
or `kernel`, which compares a real kernel with itself: a probe that differs there is not fit to be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pprint
import sys
import tempfile
from difflib import unified_diff
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from tests.kernels import KernelWithoutPorts
from tests.once import once

from .normalise import Cell, cells_of
from .probe_files import CONFIG, PROBES, ProbeFile, notebook_of, probe_files, read_probe_file

MISSING: Cell = {"cell": "missing"}
# A kernel ends a tenth of a second after `exit()`: on a busy machine before it was sent the cell behind it.
ATTEMPTS = 20


def run_reference(probe_file: ProbeFile, project: Path) -> list[Cell]:
    """The cells as papermill on a real `python3` kernel leaves them. To be called in a process of its own."""
    import papermill
    from papermill.clientwrap import PapermillNotebookClient

    os.environ.pop("PYTEST_CURRENT_TEST", None)  # ipykernel does not capture file descriptors when it is set
    source, target = project / f"{probe_file.name}.ipynb", project / "executed.ipynb"
    instance = project / "runs" / probe_file.name / "probe"
    instance.mkdir(parents=True)
    nbformat.write(notebook_of(probe_file.text), source)
    PapermillNotebookClient.execute_cell = _execute_uncounted
    for attempt in range(ATTEMPTS):
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters={"config": CONFIG},
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=instance,
                execution_timeout=120,
                kernel_manager_class=KernelWithoutPorts,
            )
        except papermill.exceptions.PapermillExecutionError:
            break
        except DeadKernelError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            break
    return cells_of(_read(target), project)


def _execute_uncounted(client: NotebookClient, cell: NotebookNode, cell_index: int) -> NotebookNode:
    """Cells are numbered as the flow's own: the one that papermill adds has no number."""
    counts = "injected-parameters" not in cell.metadata.get("tags", [])
    done = NotebookClient.execute_cell(client, cell, cell_index, store_history=counts)
    if not counts:
        cell.execution_count = None
    return done


def run_engine(probe_file: ProbeFile, project: Path, engine: str) -> list[Cell]:
    """The cells as this project's engine leaves them. The working directory must be `project`."""
    from ductaflow import FlowError, run_notebook

    settings = f'[tool.ductaflow]\nengine = "{engine}"\nunknown_keys = "ignore"\n'  # few probes read their config
    (project / "pyproject.toml").write_text(settings, encoding="utf-8")
    flow = project / "flow" / f"{probe_file.name}.py"
    flow.parent.mkdir()
    flow.write_text(probe_file.text, encoding="utf-8")
    with contextlib.suppress(FlowError):
        run_notebook(flow, config=CONFIG, instance_name="probe", timeout=120)
    executed = project / "runs" / probe_file.name / "probe" / f"{probe_file.name}.ipynb"
    return cells_of(_read(executed), project)


def _read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def differences(probe_file: ProbeFile, probe: str, expected: list[Cell], got: list[Cell]) -> str:
    """A readable account of where the probe's cells differ; empty when they are equal."""
    lines = []
    for index, owner in enumerate(probe_file.owners):
        pair = [cells[index] if index < len(cells) else MISSING for cells in (expected, got)]
        if owner == probe and pair[0] != pair[1]:
            before, after = (pprint.pformat(cell, width=110, sort_dicts=False) for cell in pair)
            lines += unified_diff(before.splitlines(), after.splitlines(), "kernel", "engine", lineterm="", n=2)
    return "\n".join(line[:400] for line in lines[:60])


def execute(probe_file: ProbeFile, engine: str, project: Path) -> list[Cell]:
    """The cells as an engine, or a real kernel, leaves them in an empty project."""
    if engine == "kernel":
        return run_reference(probe_file, project)
    with contextlib.chdir(project):
        return run_engine(probe_file, project, engine)


def cells_once(common: Path, name: str, engine: str) -> list[Cell]:
    """The same for the processes that have the folder `common` in common, executed by the first that asks."""
    probe_file = read_probe_file(PROBES / f"{name}.txt")

    def fill(project: Path) -> None:
        cells = execute(probe_file, engine, project)
        (project / "cells.json").write_text(json.dumps(cells), encoding="utf-8")

    folder = once(common / f"fidelity-{engine}" / name, fill)
    cells: list[Cell] = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    return cells


def _executed(probe_file: ProbeFile, engine: str) -> list[Cell]:
    with tempfile.TemporaryDirectory() as folder:
        return execute(probe_file, engine, Path(folder).resolve())


def main(engine: str, names: list[str]) -> int:
    """Compares the named probe files, or all, with a real kernel; returns how many probes differ."""
    count = differing = 0
    for probe_file in probe_files():
        if names and probe_file.name not in names:
            continue
        expected, got = _executed(probe_file, "kernel"), _executed(probe_file, engine)
        for probe in probe_file.probes:
            count += 1
            if account := differences(probe_file, probe, expected, got):
                differing += 1
                print(f"\n=== {probe_file.name}: {probe}\n{account}")
    print(f"\n{count - differing} of {count} probes equal ({engine})")
    return differing


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], sys.argv[2:]), 99))

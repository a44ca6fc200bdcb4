"""An engine's notebook against a real kernel's, probe by probe.

The reference is papermill on a real `python3` kernel, which takes a second to start: in a test run, each probe
file is executed once on it, and once on each engine, whatever the number of processes that need its cells.
What differs on purpose is in `KNOWN_DIFFERENCES` with its reason, which `docs/fidelity.md` tells at length.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import pytest

from tests.once import common_folder

from .compare import cells_once, differences
from .normalise import Cell
from .probe_files import probe_files

pytestmark = pytest.mark.slow

ENGINES = ("fork", "spawn")
FILES = {probe_file.name: probe_file for probe_file in probe_files()}
KNOWN_DIFFERENCES = {
    "awaits: a task that prints in a later cell": "a kernel's client drops this text; it is kept",
    "awaits: a task that displays in a later cell": "a kernel's client drops this display; it is kept",
    "descriptors: sys.stdout.fileno": "the descriptors are 1 and 2, which lead into notebook and log",
    "descriptors: os.write to sys.stdout.fileno": "reaches the notebook; in a kernel, only its terminal",
    "descriptors: subprocess to sys.stdout": "reaches the notebook; in a kernel, only its terminal",
    "descriptors: faulthandler": "reaches the notebook; in a kernel, only its terminal",
    "errors: deep recursion": "fewer frames lie below a cell, so the limit is met a few calls later",
    "errors: mutual recursion": "fewer frames lie below a cell, so the limit is met a few calls later",
    "magics: subshell magic": "there are no subshells without a frontend",
    "state: stdout's class": "the stream is ours",
    "state: interpreter details": "started with -P, and without a debugger",
    "state: module of the working directory": "the project is importable, the results folder is not",
    "state: argv": "no connection file: `sys.argv` is the flow",
    "stop_exit_call: after": "`exit()` ends the flow",
    "stop_quit_call: after": "`quit()` ends the flow",
    "streams: interleaved and not flushed": "in the order printed; a kernel sorts by stream",
    "streams: stdout replaced for one cell": "a kernel loses the line printed after the repair",
    "streams: write of bytes to stdout": "the same error, raised in another file",
}
DOCS = Path(__file__).parents[2] / "docs" / "fidelity.md"

Cells = Callable[[str], list[Cell]]
EngineCells = Callable[[str, str], list[Cell]]


@pytest.fixture(scope="session")
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    """The cells of a probe file as the real kernel leaves them; all that are asked for are made meanwhile."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = sorted({each["name"] for each in parameters if each.get("name") in FILES})
    # Each process of the test run begins at another file, and takes from the others what they have made.
    share = len(wanted) * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    start = share // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    common = common_folder(tmp_path_factory)
    processes = partial(ProcessPoolExecutor, 1, mp_context=multiprocessing.get_context("spawn"))
    with processes() as ahead, processes() as at_once:
        futures = {name: ahead.submit(cells_once, common, name, "kernel") for name in wanted[start:] + wanted[:start]}

        def cells(name: str) -> list[Cell]:
            if futures[name].cancel():  # its turn has not come yet
                futures[name] = at_once.submit(cells_once, common, name, "kernel")
            return futures[name].result()

        yield cells
        ahead.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> EngineCells:
    """The cells of a probe file as an engine leaves them: executed at the first call, in its own project."""
    return cache(partial(cells_once, common_folder(tmp_path_factory)))


CASES = [
    pytest.param(name, probe, engine, id=f"{engine}-{name}-{probe}")
    for name, probe_file in FILES.items()
    for engine in ENGINES
    for probe in probe_file.probes
]


@pytest.mark.parametrize(("name", "probe", "engine"), CASES)
def test_an_engine_leaves_the_outputs_of_a_real_kernel(
    reference: Cells, executed: EngineCells, name: str, probe: str, engine: str
) -> None:
    """What a cell leaves in the notebook does not depend on what executed it."""
    account = differences(FILES[name], probe, reference(name), executed(name, engine))
    if f"{name}: {probe}" in KNOWN_DIFFERENCES:
        assert account, "the difference is gone: take it from KNOWN_DIFFERENCES and from docs/fidelity.md"
    else:
        assert not account, f"{name}: {probe}\n{account}"


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("stop_")])
def test_a_probe_is_executed_to_its_end(reference: Cells, name: str) -> None:
    """Equal outputs prove something: the real kernel reached every cell that is not empty or skipped."""
    cells = zip(FILES[name].owners, reference(name), strict=True)
    unreached = [
        probe
        for probe, cell in cells
        if cell["cell_type"] == "code" and cell["source"].strip() and cell["execution_count"] is None
    ]
    assert unreached == (["skipped"] if name == "layout" else [])


def test_known_differences_are_real_probes_and_explained() -> None:
    """Each difference from a kernel that is known is told in the documentation, by its probe's name."""
    probes = {f"{name}: {probe}" for name, probe_file in FILES.items() for probe in probe_file.probes}
    assert set(KNOWN_DIFFERENCES) <= probes
    explained = DOCS.read_text(encoding="utf-8")
    assert [probe for probe in KNOWN_DIFFERENCES if f"`{probe}`" not in explained] == []


def test_probe_names_are_unique() -> None:
    """A probe's name stands for one probe: no other cell of its file begins a probe of the same name."""
    for probe_file in FILES.values():
        starts = [
            probe for before, probe in zip(("", *probe_file.owners), probe_file.owners, strict=False) if probe != before
        ]
        assert len(starts) == len(set(starts)), probe_file.name

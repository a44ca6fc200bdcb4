# ruff: noqa: T201 - a contender is a process that prints its time
"""The ways to execute one flow many times. Each is measured in a process of its own:

`python -m benchmarks.contenders CONTENDER FLOW COUNT`, in a project's folder, prints the seconds taken.
The clock starts when the contender's own imports are done; starting workers and what they import counts.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import CodeType
from typing import NoReturn

from benchmarks.flows import make_instance

WORKERS = 2
RUNS = Path("runs")
Start = Callable[[], float]


def ductaflow_sweep(flow: str, count: int) -> float:
    """`run_instances` with two workers."""
    import pandas as pd

    from ductaflow import run_instances

    control_df = pd.DataFrame({"instance_name": [f"i{n:04}" for n in range(count)], "factor": range(count)})
    start = time.perf_counter()
    run_instances(control_df, f"flow/{flow}.py", workers=WORKERS)
    return time.perf_counter() - start


def ductaflow_loop(flow: str, count: int) -> float:
    """The plain loop over `run_notebook`."""
    from ductaflow import run_notebook

    start = time.perf_counter()
    for number in range(count):
        run_notebook(f"flow/{flow}.py", config={"factor": number}, instance_name=f"i{number:04}")
    return time.perf_counter() - start


def ductaflow_script(flow: str, count: int) -> float:
    """`python flow/x.py --config c.json --output-dir d`, one after the other."""
    start = time.perf_counter()
    for number in range(count):
        folder, config = Path("cli") / f"i{number:04}", Path("cli") / f"c{number:04}.json"
        folder.mkdir(parents=True)
        config.write_text(json.dumps({"factor": number}), encoding="utf-8")
        _call(f"flow/{flow}.py", "--config", config, "--output-dir", folder)
    return time.perf_counter() - start


def papermill_sequential(flow: str, count: int) -> float:
    """`papermill.execute_notebook` on a new kernel each, one after the other."""
    import papermill  # noqa: F401 - imported before the clock starts

    start = time.perf_counter()
    for number in range(count):
        _papermill(flow, number)
    return time.perf_counter() - start


def papermill_pool(flow: str, count: int) -> float:
    """The same in a pool of two processes."""
    start = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as executor:
        list(executor.map(_papermill, [flow] * count, range(count)))
    return time.perf_counter() - start


def _papermill(flow: str, number: int) -> None:
    import papermill

    folder, config = make_instance(RUNS, number)
    papermill.execute_notebook(
        f"notebooks/{flow}.ipynb",
        str(folder / f"{flow}.ipynb"),
        parameters={"config": config},
        kernel_name="python3",
        progress_bar=False,
        cwd=str(folder),
    )


def nbclient_sequential(flow: str, count: int) -> float:
    """`nbclient` alone, on a new kernel each, one after the other."""
    import nbformat
    from nbclient import NotebookClient

    start = time.perf_counter()
    for number in range(count):
        folder, config = make_instance(RUNS, number)
        notebook = nbformat.read(f"notebooks/{flow}.ipynb", as_version=4)
        notebook.cells.insert(1, nbformat.v4.new_code_cell(f"config = {config!r}"))
        NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
        nbformat.write(notebook, folder / f"{flow}.ipynb")
    return time.perf_counter() - start


def ploomber_sequential(flow: str, count: int) -> float:
    """`ploomber-engine`: every instance in the one process that calls it, so they are not isolated."""
    from ploomber_engine import execute_notebook

    source = Path(f"notebooks/{flow}.ipynb").resolve()
    start = time.perf_counter()
    for number in range(count):
        folder, config = make_instance(RUNS.resolve(), number)
        target = folder / f"{flow}.ipynb"
        execute_notebook(source, target, parameters={"config": config}, progress_bar=False, cwd=folder)
    return time.perf_counter() - start


def ploomber_isolated(flow: str, count: int) -> float:
    """`ploomber-engine` in a fresh process each, one after the other: as isolated as the others."""
    start = time.perf_counter()
    for number in range(count):
        folder, config = make_instance(RUNS.resolve(), number)
        code = (
            "import sys; from ploomber_engine import execute_notebook; "
            "execute_notebook(sys.argv[1], sys.argv[2], parameters={'config': "
            f"{config!r}}}, progress_bar=False, cwd=sys.argv[3])"
        )
        _call("-c", code, f"notebooks/{flow}.ipynb", folder / f"{flow}.ipynb", folder)
    return time.perf_counter() - start


def plain_python(flow: str, count: int) -> float:
    """`python flow.py`: the flow's code as a script without any framework, one after the other."""
    script = Path(f"scripts/{flow}.py").resolve()
    start = time.perf_counter()
    for number in range(count):
        folder, _ = make_instance(RUNS, number)
        _call(script, "config.json", cwd=folder)
    return time.perf_counter() - start


def floor(flow: str, count: int) -> float:
    """The least that isolates: forks of a process that has imported all, two at a time; each executes the bare code."""
    text = Path(f"scripts/{flow}.py").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    os.environ["MPLBACKEND"] = "agg"
    start = time.perf_counter()
    exec(compile(ast.Module(imports, []), flow, "exec"), {})
    code = compile(text, flow, "exec")
    gc.freeze()
    for number in range(count):
        folder, _ = make_instance(RUNS, number)
        if number >= WORKERS:
            _wait_for_one()
        if not os.fork():
            _execute_bare(code, folder)
    for _ in range(min(count, WORKERS)):
        _wait_for_one()
    return time.perf_counter() - start


def _execute_bare(code: CodeType, folder: Path) -> NoReturn:
    try:
        os.chdir(folder)
        sys.argv = ["flow.py", "config.json"]
        with open("run.log", "w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            exec(code, {"__name__": "__main__"})
        os._exit(0)
    finally:
        os._exit(1)


def _wait_for_one() -> None:
    _, status = os.wait()
    if status:
        raise RuntimeError("an instance of the floor failed")


def _call(*arguments: object, cwd: Path | None = None) -> None:
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


CONTENDERS = {
    function.__name__: function
    for function in (
        ductaflow_sweep,
        ductaflow_loop,
        ductaflow_script,
        papermill_sequential,
        papermill_pool,
        nbclient_sequential,
        ploomber_sequential,
        ploomber_isolated,
        plain_python,
        floor,
    )
}

if __name__ == "__main__":
    seconds = CONTENDERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
    print(json.dumps({"seconds": seconds}))

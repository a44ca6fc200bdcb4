# ruff: noqa: T201 - a command that says how far it is
"""Measures ductaflow against the other ways to execute a flow, and writes `benchmarks/RESULTS.md`.

`python -m benchmarks.run [--quick] [--repeats N]`. All contenders take turns within each repeat,
so that whatever else the machine does hits all of them; the numbers are medians over the repeats.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, WORKERS
from benchmarks.costs import cold_calls, imports
from benchmarks.flows import FLOWS, Flow, make_project
from benchmarks.processes import adopt_orphans, run_module
from benchmarks.promises import Measurement
from benchmarks.report import write_report
from benchmarks.series import Results, Series

MEASURED = ("light", "plot", "busy")
FAST = ("ductaflow_sweep", "ductaflow_loop", "floor")


def measure(flow: Flow, contender: str, series: Series, ploomber: str = sys.executable) -> None:
    """One run of a contender, in a fresh project."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        make_project(project)
        try:
            python = ploomber if contender.startswith("ploomber") else sys.executable
            arguments = (contender, flow.name, series.count)
            finished = run_module("benchmarks.contenders", *arguments, cwd=project, python=python)
        except RuntimeError as error:
            series.failure = str(error).strip().splitlines()[-1]
            return
    series.wall.append(finished.printed["seconds"] / series.count)
    series.cpu.append(finished.cpu / series.count)


def count_of(flow: Flow, contender: str) -> int:
    """How many instances are executed: more by the faster, so that what starts once weighs alike."""
    if contender in FAST:
        return flow.fast
    return 2 * flow.slow if contender == "papermill_pool" else flow.slow


def measure_rates(repeats: int, share: float, ploomber: str) -> Results:
    """Every contender on every flow."""
    results: Results = {}
    for repeat in range(repeats):
        for flow in (FLOWS[name] for name in MEASURED):
            for contender in CONTENDERS:
                count = max(2, int(count_of(flow, contender) * share))
                series = results.setdefault((flow.name, contender), Series(count))
                if series.failure is None:
                    measure(flow, contender, series, ploomber)
                shown = "failed" if series.failure else f"{series.wall[-1] * 1000:.1f} ms"
                print(f"{repeat + 1}/{repeats} {flow.name:6} {contender:22} {shown}", flush=True)
    return results


def ploomber_environment(folder: Path) -> str:
    """An interpreter that has ploomber-engine, with our versions of the rest; gives its path.

    Not in our own environment: it registers an engine with papermill, which then takes twice as long to
    import, for every contender.
    """
    shared = ("papermill", "nbclient", "ipykernel", "ipython", "pandas", "numpy", "matplotlib")
    python = str(folder / "ploomber" / "bin" / "python")
    pinned = [f"{name}=={version(name)}" for name in shared]
    commands = (
        [sys.executable, "-m", "venv", str(folder / "ploomber")],
        [python, "-m", "pip", "install", "--quiet", "ploomber-engine", *pinned],
    )
    for command in commands:
        subprocess.run(command, check=False, capture_output=True)  # a failure shows in the table
    return python


def measure_overhead(repeats: int) -> dict[str, float]:
    """CPU seconds an instance of a flow that does nothing: what the framework itself costs."""
    found = {}
    for contender in ("ductaflow_sweep", "papermill_sequential"):
        flow = FLOWS["empty"]
        series = Series(count_of(flow, contender))
        for _ in range(repeats):
            measure(flow, contender, series)
        found[contender] = series.cpu_seconds
    return found


def measure_costs(repeats: int) -> dict[str, Any]:
    """Everything that is not a rate."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        make_project(project)
        costs: dict[str, Any] = {
            "cold": cold_calls(project, repeats),
            "imports": imports(project, 5 * repeats),
        }
        for name in ("memory", "leftovers"):
            print(f"costs: {name}", flush=True)
            shutil.rmtree(project / "runs", ignore_errors=True)
            finished = run_module("benchmarks.costs", name, cwd=project)
            costs[name] = {**finished.printed, "orphans": finished.orphans}
        shutil.rmtree(project / "runs", ignore_errors=True)
        costs["where"] = run_module("benchmarks.where", "light", 20 * repeats, cwd=project).printed
    return costs


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description="Measure ductaflow against the other ways.")
    parser.add_argument("--quick", action="store_true", help="fewer instances, one repeat, nothing written")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ploomber-python", help="an interpreter that has ploomber-engine; else one is made")
    options = parser.parse_args()
    adopt_orphans()
    repeats = 1 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        ploomber = options.ploomber_python or ploomber_environment(Path(folder))
        results = measure_rates(repeats, 0.2 if options.quick else 1.0, ploomber)
    costs = {**measure_costs(max(3, repeats)), "overhead": measure_overhead(repeats)}
    target = Path(os.devnull) if options.quick else Path(__file__).parent / "RESULTS.md"
    print(write_report(target, Measurement(results, costs, WORKERS)))


if __name__ == "__main__":
    main()

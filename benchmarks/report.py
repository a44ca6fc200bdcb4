"""The page of results: tables in markdown, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.flows import FLOWS

if TYPE_CHECKING:
    from benchmarks.run import Results

NAMES = {
    "ductaflow_sweep": "**ductaflow** `run_instances`, {workers} workers",
    "ductaflow_loop": "**ductaflow** plain loop over `run_notebook`",
    "ductaflow_script": "**ductaflow** `python flow.py --config ... --output-dir ...`",
    "papermill_sequential": "papermill, one after the other",
    "papermill_pool": "papermill in a pool of {workers} processes",
    "nbclient_sequential": "nbclient, one after the other",
    "ploomber_sequential": "ploomber-engine, all in one process (not isolated)",
    "ploomber_isolated": "ploomber-engine, a fresh process each",
    "plain_python": "plain `python flow.py`, one after the other",
}
PACKAGES = ("papermill", "nbclient", "ipykernel", "jupytext", "pandas", "matplotlib")


def write_report(target: Path, results: Results, costs: dict[str, Any], workers: int) -> str:
    """Write the page; gives its text."""
    flows = list(dict.fromkeys(flow for flow, _ in results))
    parts = [INTRO]
    parts += [_rates(flow, results, workers) for flow in flows]
    parts += [_wanted(results, costs, workers), _overhead(results, costs), _machine()]
    text = "\n\n".join(parts) + "\n"
    target.write_text(text, encoding="utf-8")
    return text


INTRO = """# Measured

Written by `make bench` (`python -m benchmarks.run`). All contenders took turns in the same run; numbers are
medians over the repeats. Time is wall time divided by the number of instances, CPU is that of all processes
involved. ductaflow's workers are started, and import what they need, within the measured time; so are the
processes of the papermill pool. Every contender leaves an executed notebook for each instance, except the
scripts; only ductaflow also leaves a log, a record and a fingerprint."""


def _rates(flow: str, results: Results, workers: int) -> str:
    about = FLOWS[flow].about
    best = results[flow, "ductaflow_sweep"].seconds
    lines = [
        f"## The {flow} flow ({about})",
        "",
        "| how | instances | ms an instance | CPU ms | `run_instances` is faster by |",
        "|---|---:|---:|---:|---:|",
    ]
    for (name, contender), series in results.items():
        if name != flow:
            continue
        label = NAMES[contender].format(workers=workers)
        if series.seconds is None or series.cpu_seconds is None:
            lines.append(f"| {label} | - | failed: {series.failure} | - | - |")
            continue
        ratio = f"{series.seconds / best:.1f} x" if best else "-"
        cells = (label, series.count, f"{series.seconds * 1e3:.1f}", f"{series.cpu_seconds * 1e3:.1f}", ratio)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _wanted(results: Results, costs: dict[str, Any], workers: int) -> str:
    """The project's targets, and whether this run met them."""

    def ratio(slow: str, fast: str) -> float:
        above, below = results["light", slow].seconds, results["light", fast].seconds
        return above / below if above and below else 0.0

    ideal = 1.0 / min(workers, os.cpu_count() or 1)
    busy = (results["busy", "ductaflow_sweep"].seconds or 0.0) / ideal
    cold, imports = costs["cold"], costs["imports"]
    cli = imports["pandas script with load_cli_config"] / imports["pandas script"] - 1
    left = costs["leftovers"]
    rows = [
        (
            "light flow against papermill sequential",
            ratio("papermill_sequential", "ductaflow_sweep"),
            ">=",
            30.0,
            " x",
        ),
        (
            "light flow against papermill in two processes",
            ratio("papermill_pool", "ductaflow_sweep"),
            ">=",
            15.0,
            " x",
        ),
        (
            "light flow against plain `python flow.py`",
            ratio("plain_python", "ductaflow_sweep"),
            ">=",
            6.0,
            " x",
        ),
        (
            "plain loop against papermill sequential",
            ratio("papermill_sequential", "ductaflow_loop"),
            ">=",
            12.0,
            " x",
        ),
        ("1-second flow against the ideal (CPU / cores)", busy, "<=", 1.1, " x"),
        (
            "cold `run_notebook` against papermill, light",
            cold["ductaflow light"] / cold["papermill light"],
            "<=",
            1.0,
            " x",
        ),
        (
            "cold `run_notebook` against papermill, plot",
            cold["ductaflow plot"] / cold["papermill plot"],
            "<=",
            1.0,
            " x",
        ),
        ("`import ductaflow` adds", (imports["import ductaflow"] - imports["pass"]) * 1e3, "<=", 20.0, " ms"),
        ("`load_cli_config` adds to a script that imports pandas", cli * 100, "<=", 25.0, " %"),
        (
            "private memory of a live light instance",
            median(costs["memory"]["instances"] or [0]) / 1e6,
            "<=",
            40.0,
            " MB",
        ),
        ("private memory of a worker", median(costs["memory"]["workers"] or [0]) / 1e6, "", None, " MB"),
        ("300 instances, 8 workers: finished", float(left["done"]), ">=", 300.0, ""),
        (
            "... handles more after it than before",
            float(left["after twice"]["handles"] - left["after"]["handles"]),
            "<=",
            0.0,
            "",
        ),
        (
            "... threads more after it than before",
            float(left["after twice"]["threads"] - left["before"]["threads"]),
            "<=",
            0.0,
            "",
        ),
        (
            "... processes that outlived the conductor",
            float(left["orphans"]),
            "",
            None,
            " (ended by themselves)",
        ),
    ]
    lines = ["## What was promised", "", "| what | measured | wanted | met |", "|---|---:|---:|---|"]
    for what, value, relation, bound, unit in rows:
        met = "" if bound is None else "yes" if (value >= bound if relation == ">=" else value <= bound) else "no"
        wanted = "" if bound is None else f"{relation} {bound:g}{unit}"
        lines.append(f"| {what} | {value:.2f}{unit} | {wanted} | {met} |")
    return "\n".join(lines)


def _overhead(results: Results, costs: dict[str, Any]) -> str:
    """How much of an instance's CPU time is the framework's."""
    light = results["light", "ductaflow_sweep"].cpu_seconds or 0.0
    empty = costs["overhead"]["ductaflow_sweep"]
    kernel = costs["overhead"]["papermill_sequential"]
    return (
        "## Where the CPU time goes\n\n"
        f"A flow of one cell that does nothing costs {empty * 1e3:.1f} ms of CPU an instance with ductaflow\n"
        f"({kernel * 1e3:.0f} ms with papermill): the process, the notebook, the log, the record and the\n"
        f"fingerprint. The light flow costs {light * 1e3:.1f} ms."
    )


def _machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    system = f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"## The machine\n\n{model}, {os.cpu_count()} cores, {memory:.0f} GB; {system}; {packages}."

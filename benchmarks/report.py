"""The page of results: tables in markdown, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Promise:
    """A number that this run gave, and what it was to be at least or at most."""

    what: str
    value: float
    unit: str = " x"
    least: float | None = None
    most: float | None = None

    def line(self) -> str:
        """The row of the table."""
        if self.least is not None:
            wanted, met = f">= {self.least:g}{self.unit}", self.value >= self.least
        elif self.most is not None:
            wanted, met = f"<= {self.most:g}{self.unit}", self.value <= self.most
        else:
            return f"| {self.what} | {self.value:.2f}{self.unit} | | |"
        return f"| {self.what} | {self.value:.2f}{self.unit} | {wanted} | {'yes' if met else 'no'} |"


def _promises(results: Results, costs: dict[str, Any], workers: int) -> list[Promise]:
    """The project's targets, and what this run gave."""

    def ratio(slow: str, fast: str) -> float:
        above, below = results["light", slow].seconds, results["light", fast].seconds
        return above / below if above and below else 0.0

    ideal = 1.0 / min(workers, os.cpu_count() or 1)
    busy = (results["busy", "ductaflow_sweep"].seconds or 0.0) / ideal
    cold, imports, memory, left = costs["cold"], costs["imports"], costs["memory"], costs["leftovers"]
    script, with_ours = imports["pandas script"], imports["pandas script with load_cli_config"]
    more = {name: float(left["after twice"][name] - left["after"][name]) for name in ("handles", "threads")}
    return [
        Promise("light flow against papermill, sequential", ratio("papermill_sequential", "ductaflow_sweep"), least=30),
        Promise("light flow against papermill in two processes", ratio("papermill_pool", "ductaflow_sweep"), least=15),
        Promise("light flow against plain `python flow.py`", ratio("plain_python", "ductaflow_sweep"), least=6),
        Promise("plain loop against papermill, sequential", ratio("papermill_sequential", "ductaflow_loop"), least=12),
        Promise("1-second flow against the ideal (CPU / cores)", busy, most=1.1),
        *(
            Promise(
                f"cold `run_notebook` against papermill, {flow}",
                cold[f"ductaflow {flow}"] / cold[f"papermill {flow}"],
                most=1,
            )
            for flow in ("light", "plot")
        ),
        Promise("`import ductaflow` adds", (imports["import ductaflow"] - imports["pass"]) * 1e3, " ms", most=20),
        Promise(
            "`load_cli_config` adds to a script that imports pandas", (with_ours / script - 1) * 100, " %", most=25
        ),
        Promise("private memory of a live light instance", median(memory["instances"] or [0]) / 1e6, " MB", most=40),
        Promise("private memory of a worker", median(memory["workers"] or [0]) / 1e6, " MB"),
        Promise("300 instances, 8 workers: finished", float(left["done"]), "", least=300),
        Promise("... seconds that took", left["seconds"], " s"),
        Promise("... handles that a second such sweep adds", more["handles"], "", most=0),
        Promise("... threads that a second such sweep adds", more["threads"], "", most=0),
        Promise("... processes left when the conductor has ended", float(left["orphans"]), "", most=0),
    ]


def _wanted(results: Results, costs: dict[str, Any], workers: int) -> str:
    lines = ["## What was promised", "", "| what | measured | wanted | met |", "|---|---:|---:|---|"]
    return "\n".join([*lines, *(promise.line() for promise in _promises(results, costs, workers))])


def _overhead(results: Results, costs: dict[str, Any]) -> str:
    """How much of an instance's CPU time is the framework's, and where it goes."""
    light = results["light", "ductaflow_sweep"].cpu_seconds or 0.0
    empty = costs["overhead"]["ductaflow_sweep"]
    kernel = costs["overhead"]["papermill_sequential"]
    parts = sorted(costs["where"].items(), key=lambda pair: -pair[1])
    return "\n".join(
        [
            "## Where the CPU time goes",
            "",
            f"A flow of one cell that does nothing costs {empty * 1e3:.1f} ms of CPU an instance with ductaflow",
            f"({kernel * 1e3:.0f} ms with papermill), the workers' start included; the light flow costs",
            f"{light * 1e3:.1f} ms. Inside one process of the light flow, without the worker's share:",
            "",
            "| part | CPU ms |",
            "|---|---:|",
            *(f"| {part} | {seconds * 1e3:.1f} |" for part, seconds in parts),
            f"| together | {sum(costs['where'].values()) * 1e3:.1f} |",
        ]
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

"""The page of results: tables in markdown, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.flows import FLOWS
from benchmarks.promises import PROMISES, Measurement

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
    "floor": "the floor: forks of a process that has imported all, the bare code, {workers} at a time",
}
PACKAGES = ("papermill", "nbclient", "ipykernel", "jupytext", "pandas", "matplotlib")


def write_report(target: Path, measurement: Measurement) -> str:
    """Write the page; gives its text."""
    flows = dict.fromkeys(flow for flow, _ in measurement.results)
    parts = [INTRO, *(_rates(flow, measurement) for flow in flows)]
    parts += [_promises(measurement), _overhead(measurement), _machine()]
    text = "\n\n".join(parts) + "\n"
    target.write_text(text, encoding="utf-8")
    return text


INTRO = """# Measured

Written by `make bench` (`python -m benchmarks.run`). All contenders took turns in the same run; numbers are
medians over the repeats. Time is wall time divided by the number of instances, CPU is that of all processes
involved. ductaflow's workers are started, and import what they need, within the measured time; so are the
processes of the papermill pool. Every contender leaves an executed notebook for each instance, except the
scripts and the floor; only ductaflow also leaves a log, a record and a fingerprint. The floor is the least that can
be done if instances are to be isolated, and every figure is also given as a multiple of it."""


def _rates(flow: str, measurement: Measurement) -> str:
    best = measurement.results[flow, "ductaflow_sweep"].seconds
    least = measurement.results[flow, "floor"].seconds
    lines = [
        f"## The {flow} flow ({FLOWS[flow].about})",
        "",
        "| how | instances | ms an instance | CPU ms | `run_instances` is faster by | against the floor |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (name, contender), series in measurement.results.items():
        if name != flow:
            continue
        label = NAMES[contender].format(workers=measurement.workers)
        if series.failure is not None:
            lines.append(f"| {label} | - | failed: {series.failure} | - | - | - |")
            continue
        lines.append(
            f"| {label} | {series.count} | {series.seconds * 1e3:.1f} | {series.cpu_seconds * 1e3:.1f} "
            f"| {series.seconds / best:.1f} x | {series.seconds / least:.1f} x |"
        )
    return "\n".join(lines)


def _promises(measurement: Measurement) -> str:
    lines = ["## What was promised", "", "| what | measured | wanted | met |", "|---|---:|---:|---|"]
    return "\n".join([*lines, *(promise.line(measurement) for promise in PROMISES)])


def _overhead(measurement: Measurement) -> str:
    """How much of an instance's CPU time is the framework's, and where it goes."""
    costs = measurement.costs
    light = measurement.results["light", "ductaflow_sweep"].cpu_seconds
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

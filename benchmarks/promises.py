"""The project's targets, one line each: which number of a measurement, and what it is to be at least or at most."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.series import Results


@dataclass(frozen=True)
class Measurement:
    """Everything that one run of the benchmark gave."""

    results: Results
    costs: dict[str, Any]
    workers: int


Number = Callable[[Measurement], float]


@dataclass(frozen=True)
class Promise:
    """A number, where it is in a measurement, and what it is to be at least or at most."""

    what: str
    number: Number
    unit: str = " x"
    least: float | None = None
    most: float | None = None

    def line(self, measurement: Measurement) -> str:
        """The row of the table."""
        value = self.number(measurement)
        if self.least is not None:
            wanted, met = f">= {self.least:g}{self.unit}", value >= self.least
        elif self.most is not None:
            wanted, met = f"<= {self.most:g}{self.unit}", value <= self.most
        else:
            return f"| {self.what} | {value:.2f}{self.unit} | | |"
        return f"| {self.what} | {value:.2f}{self.unit} | {wanted} | {'yes' if met else 'no'} |"


def _faster(ours: str, other: str) -> Number:
    return lambda found: found.results["light", other].seconds / found.results["light", ours].seconds


def _against_the_ideal(found: Measurement) -> float:
    """The 1-second flow's share of a core that nobody else uses."""
    ideal = 1.0 / min(found.workers, os.cpu_count() or 1)
    return found.results["busy", "ductaflow_sweep"].seconds / ideal


def _empty(found: Measurement) -> float:
    """Milliseconds an instance."""
    return float(found.costs["overhead"]["ductaflow_sweep"]) * 1e3


def _cold(flow: str) -> Number:
    return lambda found: found.costs["cold"][f"ductaflow {flow}"] / found.costs["cold"][f"papermill {flow}"]


def _import_adds(found: Measurement) -> float:
    """Milliseconds."""
    seconds = found.costs["imports"]
    return float(seconds["import ductaflow"] - seconds["pass"]) * 1e3


def _cli_config_adds(found: Measurement) -> float:
    """Percent."""
    seconds = found.costs["imports"]
    return float(seconds["pandas script with load_cli_config"] / seconds["pandas script"] - 1) * 100


def _megabytes(kind: str) -> Number:
    return lambda found: median(found.costs["memory"][kind]) / 1e6


def _left(what: str) -> Number:
    return lambda found: float(found.costs["leftovers"][what])


def _second_sweep_adds(what: str) -> Number:
    return lambda found: float(found.costs["leftovers"]["after twice"][what] - found.costs["leftovers"]["after"][what])


PROMISES = (
    Promise("light flow against papermill, sequential", _faster("ductaflow_sweep", "papermill_sequential"), least=35),
    Promise("light flow against papermill in two processes", _faster("ductaflow_sweep", "papermill_pool"), least=20),
    Promise("light flow against plain `python flow.py`", _faster("ductaflow_sweep", "plain_python"), least=6),
    Promise("light flow against the floor", _faster("floor", "ductaflow_sweep"), most=1.5),
    Promise("CPU of a flow that does nothing", _empty, " ms", most=32),
    Promise("plain loop against papermill, sequential", _faster("ductaflow_loop", "papermill_sequential"), least=12),
    Promise("1-second flow against the ideal (CPU / cores)", _against_the_ideal, most=1.05),
    Promise("cold `run_notebook` against papermill, light", _cold("light"), most=1),
    Promise("cold `run_notebook` against papermill, plot", _cold("plot"), most=1),
    Promise("`import ductaflow` adds", _import_adds, " ms", most=20),
    Promise("`load_cli_config` adds to a script that imports pandas", _cli_config_adds, " %", most=25),
    Promise("private memory of a live light instance", _megabytes("instances"), " MB", most=40),
    Promise("private memory of a worker", _megabytes("workers"), " MB"),
    Promise("300 instances, 8 workers: finished", _left("done"), "", least=300),
    Promise("... seconds that took", _left("seconds"), " s"),
    Promise("... handles that a second such sweep adds", _second_sweep_adds("handles"), "", most=0),
    Promise("... threads that a second such sweep adds", _second_sweep_adds("threads"), "", most=0),
    Promise("... processes left when the conductor has ended", _left("orphans"), "", most=0),
)

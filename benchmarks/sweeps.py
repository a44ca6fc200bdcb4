# ruff: noqa: T201 - a command that prints its table
"""What a sweep costs its parent for each instance, whatever the number of rows: `python -m benchmarks.sweeps`.

Real trivial instances (400 and 20,000 rows), then simulated ones (an executor that writes records: 1,000, 10,000
and 100,000 rows). Ratios are to the smallest sweep of the same kind; every measurement is a fresh process.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.page_samples import record
from benchmarks.processes import adopt_orphans, run_module

REAL = (400, 20_000)
SIMULATED = (1_000, 10_000, 100_000)
FLOW = (
    '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nfrom ductaflow import save_results\nsave_results(n=config["n"])\n'
)


class Simulated(Executor):
    """Writes a job's record instead of executing it, one after the other, in a thread."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Any, Future[Any]]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, call: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        """Take a job."""
        future: Future[Any] = Future()
        self._jobs.put((args[0], future))
        return future

    def _work(self) -> None:
        from ductaflow_runtime.runs.record import FILE_NAME, from_json

        while True:
            job, future = self._jobs.get()
            directory = job.instance.directory
            directory.mkdir(parents=True, exist_ok=True)
            about = {"flow": "flow/step.py", "step": job.step, "instance_name": job.name}
            written = record(**about, results={"n": job.config["n"]})
            written["fingerprint"] = {**written["fingerprint"], "config": job.config}
            (directory / FILE_NAME).write_text(json.dumps(written), encoding="utf-8")
            future.set_result(from_json(written, directory))


def sweep(count: int, *, simulated: bool) -> dict[str, float]:
    """Seconds, CPU seconds of this process and its peak memory in MB, without the imports and a first instance."""
    import pandas as pd

    from ductaflow import run_instances

    Path("flow").mkdir()
    Path("pyproject.toml").write_text("", encoding="utf-8")
    Path("flow/step.py").write_text(FLOW, encoding="utf-8")
    executor = Simulated() if simulated else None
    run_instances(pd.DataFrame({"n": [-2, -1]}), "flow/step.py", executor=executor)
    frame = pd.DataFrame({"n": range(count)})
    cpu, start = _cpu(), time.perf_counter()
    results = run_instances(frame, "flow/step.py", executor=executor)
    seconds, used = time.perf_counter() - start, _cpu() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"done": int((results["status"] == "done").sum()), "seconds": seconds, "cpu": used, "peak_mb": peak}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(kinds: dict[str, tuple[int, ...]]) -> str:
    """Measures, and gives the table."""
    lines = [
        "| instances | rows | parent CPU ms each | ratio | wall ms each | ratio | seconds in all | peak memory MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, counts in kinds.items():
        first: tuple[float, float] | None = None
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                told = run_module("benchmarks.sweeps", kind, count, cwd=Path(folder)).printed
            if told["done"] != count:
                raise RuntimeError(f"{told['done']} of {count} {kind} instances were done")
            cpu, wall = 1000 * told["cpu"] / count, 1000 * told["seconds"] / count
            first = first or (cpu, wall)
            ratios = f"{cpu:.2f} | {cpu / first[0]:.2f} | {wall:.2f} | {wall / first[1]:.2f}"
            lines.append(f"| {kind} | {count:,} | {ratios} | {told['seconds']:.1f} | {told['peak_mb']:.0f} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """The table, or one of the processes that it is made of."""
    match arguments:
        case [("real" | "simulated") as kind, count]:
            print(json.dumps(sweep(int(count), simulated=kind == "simulated")))
        case ["real" | "simulated" as kind, *counts]:
            adopt_orphans()
            print(table({kind: tuple(map(int, counts))}))
        case _:
            adopt_orphans()
            text = table({"real": REAL, "simulated": SIMULATED})
            (Path(__file__).parent / "SWEEPS.md").write_text(f"{PAGE}\n{text}\n", encoding="utf-8")


PAGE = """# Sweeps, measured

Written by `python -m benchmarks.sweeps`: what the conductor's process spends on each instance. The simulated ones are
records that an executor writes, one after the other.
"""


if __name__ == "__main__":
    main(sys.argv[1:])

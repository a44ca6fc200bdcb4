# ruff: noqa: T201 - its findings go to whoever started it
"""What it takes to have workers ready: `python -m benchmarks.starts [WORKERS...]`, CPU seconds and private memory.

For a flow that imports pandas, scipy and matplotlib. Each number of workers is a process of its own, and they take
turns; before anything is executed, so that nothing but the start is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from benchmarks.processes import descendants, private_bytes, run_module

FLOW = """\
# %% tags=["parameters"]
config = {}

# %%
import matplotlib.pyplot as plt
import pandas as pd
import scipy.optimize
import scipy.stats
"""
COUNTS = (1, 2, 8, 16, 32)
REPEATS = 3
_TICKS = os.sysconf("SC_CLK_TCK")


def start(count: int) -> dict[str, Any]:
    """In this process, whose working directory is a project: `count` workers at once; CPU seconds, bytes of each."""
    from ductaflow_runtime.conductor.jobs import ahead_of
    from ductaflow_runtime.conductor.plan import make_call
    from ductaflow_runtime.execution.job import Job
    from ductaflow_runtime.worker.pool import pool

    call = make_call("flow/step.py")
    ahead = ahead_of(call)
    project = call.project
    places = (str(project.root), str(project.runs_dir), str(call.flow), call.step)
    job = Job(*places, "x", {}, preload=list(ahead.names), learns=ahead.whole)
    ready = threading.Barrier(count + 1)
    done = threading.Event()

    def borrow() -> None:
        with pool().lend(job):
            ready.wait()
            done.wait()

    threads = [threading.Thread(target=borrow) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    processes = sorted(descendants(os.getpid()))
    found = {"cpu": sum(map(_cpu_seconds, processes)), "bytes": [private_bytes(pid) for pid in processes]}
    done.set()
    for thread in threads:
        thread.join()
    return found


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def measure(counts: list[int], repeats: int = REPEATS) -> dict[int, dict[str, float]]:
    """For each number of workers the median CPU seconds, and the private megabytes of all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve()
        (project / "flow").mkdir()
        (project / "pyproject.toml").write_text('[project]\nname = "measured"\nversion = "0"\n', encoding="utf-8")
        (project / "flow" / "step.py").write_text(FLOW, encoding="utf-8")
        told = [
            (count, run_module("benchmarks.starts", "start", count, cwd=project).printed)
            for _ in range(repeats)
            for count in counts
        ]
    return {
        count: {
            "cpu": statistics.median(one["cpu"] for each, one in told if each == count),
            "megabytes": statistics.median(sum(one["bytes"]) / 1e6 for each, one in told if each == count),
        }
        for count in counts
    }


def main(counts: list[int]) -> None:
    """The table, in multiples of one worker's start."""
    found = measure(counts)
    one = found[counts[0]]
    print(
        f"| workers | CPU s | times that of {counts[0]} | private MB | MB for each more |\n|---:|---:|---:|---:|---:|"
    )
    for count, told in found.items():
        more = (told["megabytes"] - one["megabytes"]) / (count - counts[0]) if count > counts[0] else 0.0
        ratio = told["cpu"] / one["cpu"]
        print(f"| {count} | {told['cpu']:.2f} | {ratio:.2f} | {told['megabytes']:.0f} | {more:.1f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["start"]:
        print(json.dumps(start(int(sys.argv[2]))))
    else:
        with contextlib.suppress(KeyboardInterrupt):
            main([int(text) for text in sys.argv[1:]] or list(COUNTS))

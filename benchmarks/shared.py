# ruff: noqa: T201 - its findings go to whoever started it
"""What a shared cell saves: `python -m benchmarks.shared [COUNT]`, a flow that loads for long and computes for moments.

With the tag and without, in turns, on two workers, against the ideal of one load and the computing shared out evenly;
and the private memory of an instance beside a table of a gigabyte.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import adopt_orphans, run_module

LOAD_S, COMPUTE_S, WORKERS, ROWS_OF_TABLE = 4.0, 0.05, 2, 125_000_000
FLOW = """\
# %% tags=["{tag}"]
import time
import numpy as np

until = time.process_time() + {load}
while time.process_time() < until:
    sum(range(10_000))
table = np.ones({rows})

# %% tags=["parameters"]
config = {{}}

# %%
from ductaflow import save_results

until = time.process_time() + {compute}
while time.process_time() < until:
    sum(range(1_000))
total = float(table[:10].sum()) + config["n"]
if config["n"] < 2:  # to look takes long, with a large table
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    save_results(megabytes=sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1000)
"""


def sweep(count: int) -> dict[str, Any]:
    """In this process, whose working directory is a project: seconds of a sweep, and an instance's private memory."""
    import time

    import pandas as pd

    from ductaflow import run_instances

    began = time.perf_counter()
    frame = run_instances(pd.DataFrame({"n": range(count)}), "flow/step.py", workers=WORKERS)
    return {"seconds": time.perf_counter() - began, "megabytes": float(frame["result.megabytes"].max())}


def measure(tag: str, count: int, rows: int = ROWS_OF_TABLE) -> dict[str, Any]:
    """One sweep in a project and a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve()
        (project / "flow").mkdir()
        (project / "pyproject.toml").write_text('[project]\nname = "measured"\nversion = "0"\n', encoding="utf-8")
        text = FLOW.format(tag=tag, load=LOAD_S, compute=COMPUTE_S, rows=rows)
        (project / "flow" / "step.py").write_text(text, encoding="utf-8")
        done = run_module("benchmarks.shared", "sweep", count, cwd=project)
        return done.printed | {"cpu": done.cpu}


def main(count: int) -> None:
    """What was found; without the tag only a tenth of the instances, for each loads by itself."""
    adopt_orphans()
    processors = min(WORKERS, len(os.sched_getaffinity(0)))
    ideal = LOAD_S + count * COMPUTE_S / processors
    few = max(WORKERS, count // 10)
    shared, plain = measure("shared", count), measure("ordinary", few, rows=1)
    each = plain["seconds"] / few
    cpu = shared["cpu"] / (LOAD_S + count * COMPUTE_S)
    print(f"{count} instances, shared cell: {shared['seconds']:.1f} s, {shared['seconds'] / ideal:.2f} times the ideal")
    print(f"its CPU time, the start of all processes included: {cpu:.2f} times that of loading and computing")
    print(f"an ordinary cell: {each:.2f} s an instance, {each * count / shared['seconds']:.0f} times as long in all")
    print(f"private memory an instance beside a table of 1 GB: {shared['megabytes']:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["sweep"]:
        print(json.dumps(sweep(int(sys.argv[2]))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 100)

# ruff: noqa: T201 - a command that prints its table
"""How long it takes to find out that nothing has to run: 1,000, 10,000 and 100,000 up-to-date instances.

`python -m benchmarks.planning [COUNT...]`. One instance is really executed; its folder is
then cloned, with name and config adapted in `config.json` and `run.json`. Every measurement is a fresh
process; the file cache is warm.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import adopt_orphans, run_module

COUNTS = (1_000, 10_000, 100_000)
REPEATS = 3
LINKS_AN_INODE = 10_000  # file systems limit them
STEP = "planned"
FLOW = """\
# %% tags=["parameters"]
config = {}

# %%
import json
from pathlib import Path
from ductaflow import project_path, save_results

# %%
links = project_path("data", "links.csv").read_text()
Path("result.json").write_text(json.dumps({"value": config["factor"] * 2}))
save_results(value=config["factor"] * 2)
"""


def make_instances(project: Path, count: int) -> None:
    """`count` instances in a new project, as they would be after a sweep."""
    from ductaflow import run_notebook

    for folder in ("flow", "data"):
        (project / folder).mkdir(parents=True)
    (project / "pyproject.toml").write_text('[project]\nname = "planned"\nversion = "0"\n', encoding="utf-8")
    (project / "data" / "links.csv").write_text("a,b,time\n1,2,10\n", encoding="utf-8")
    (project / "flow" / f"{STEP}.py").write_text(FLOW, encoding="utf-8")
    os.chdir(project)
    original = run_notebook(f"flow/{STEP}.py", config={"factor": 0}, instance_name="i000000").directory
    for number in range(1, count):
        if number % LINKS_AN_INODE == 0:
            original = _clone(original, number, shutil.copy2)
        else:
            _clone(original, number, os.link)


def _clone(original: Path, number: int, keep: Callable[[Path, Path], Any]) -> Path:
    """A folder like the original's, for another instance; what names the instance is written anew."""
    folder = original.parent / f"i{number:06}"
    folder.mkdir()
    config = {"factor": number}
    record = json.loads((original / "run.json").read_text())
    record["instance_name"] = folder.name
    record["fingerprint"]["config"] = config
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    for path in original.iterdir():
        if path.name in record["outputs"]:
            shutil.copy2(path, folder / path.name)
        elif path.is_file() and not (folder / path.name).exists():
            keep(path, folder / path.name)
    return folder


def plan(count: int) -> dict[str, float]:
    """Seconds and memory of `plan_instances`; the frame and the imports are there before the clock starts."""
    import pandas as pd

    from ductaflow import plan_instances

    control_df = _control(pd, count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    planned = plan_instances(control_df, f"flow/{STEP}.py")
    seconds = time.perf_counter() - start
    stale = int(planned["reason"].notna().sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_mb": peak / 1024, "added_mb": (peak - before) / 1024, "stale": stale}


def conduct(count: int) -> dict[str, float]:
    """Seconds of a whole conductor on instances that are all up to date, and of importing pandas alone."""
    start = time.perf_counter()
    import pandas as pd

    imported = time.perf_counter() - start
    from ductaflow import run_instances

    results = run_instances(_control(pd, count), f"flow/{STEP}.py")
    executed = int((results["status"] != "up to date").sum())
    return {"pandas": imported, "seconds": time.perf_counter() - start, "executed": executed}


def _control(pd: Any, count: int) -> Any:
    names = [f"i{number:06}" for number in range(count)]
    return pd.DataFrame({"instance_name": names, "factor": range(count)})


def table(counts: tuple[int, ...]) -> str:
    """Measures each size, and gives the table."""
    lines = [
        "| up-to-date instances | `plan_instances` s | microseconds each | peak memory MB "
        "| of it for planning MB | second conductor run: s more than importing pandas |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder).resolve() / "project"
            run_module("benchmarks.planning", "make", project, count, cwd=Path(folder))
            plans = [run_module("benchmarks.planning", "plan", count, cwd=project).printed for _ in range(REPEATS)]
            runs = [run_module("benchmarks.planning", "conduct", count, cwd=project).printed for _ in range(REPEATS)]
        if plans[0]["stale"] or runs[0]["executed"]:
            raise RuntimeError(f"the clones are not up to date: {plans[0]}, {runs[0]}")
        seconds = statistics.median(each["seconds"] for each in plans)
        more = statistics.median(each["seconds"] - each["pandas"] for each in runs)
        peak = max(each["peak_mb"] for each in plans)
        added = max(each["added_mb"] for each in plans)
        each_us = seconds / count * 1e6
        lines.append(f"| {count:,} | {seconds:.3f} | {each_us:.0f} | {peak:.0f} | {added:.0f} | {more:.2f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """The table, or one of the processes that it is made of."""
    match arguments:
        case ["make", project, count]:
            make_instances(Path(project), int(count))
        case ["plan", count]:
            print(json.dumps(plan(int(count))))
        case ["conduct", count]:
            print(json.dumps(conduct(int(count))))
        case _:
            adopt_orphans()
            text = table(tuple(map(int, arguments)) or COUNTS)
            (Path(__file__).parent / "PLANNING.md").write_text(f"{PAGE}\n{text}\n", encoding="utf-8")
            print(text)


PAGE = """# Planning, measured

Written by `python -m benchmarks.planning`; medians of three fresh processes, file cache warm.
"""


if __name__ == "__main__":
    main(sys.argv[1:])

# ruff: noqa: T201 - its findings go to whoever started it
"""Costs that are not a rate: one cold call, imports, memory, what a large sweep leaves behind.

`memory` and `leftovers` watch a sweep from inside its conductor, so each is a process of its own:
`python -m benchmarks.costs memory|leftovers [COUNT]`, in a project's folder, prints its findings as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, arguments_of, descendants, private_bytes

ONE_OURS = "from ductaflow import run_notebook; run_notebook('flow/{flow}.py', config={{'factor': {n}}})"
ONE_PAPERMILL = (
    "import papermill; papermill.execute_notebook('notebooks/{flow}.ipynb', 'one{n}.ipynb', "
    "parameters={{'config': {{'factor': {n}}}}}, kernel_name='python3', progress_bar=False)"
)
PANDAS_SCRIPT = "config = {}\nimport pandas as pd\nprint(pd.DataFrame({'x': range(9)}).describe())\n"
CLI_SCRIPT = (
    "config = {}\n"
    "from ductaflow import is_notebook_execution, load_cli_config\n"
    "if not is_notebook_execution():\n"
    "    config = load_cli_config('config/base.json', 'measured')\n"
    "import pandas as pd\nprint(pd.DataFrame({'x': range(9)}).describe())\n"
)


def alternately(commands: dict[str, list[list[str]]], cwd: Path) -> dict[str, float]:
    """Median seconds of each command; the lists are worked through side by side, so that drift hits all."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for round_of_commands in zip(*commands.values(), strict=True):
        for name, command in zip(commands, round_of_commands, strict=True):
            start = time.perf_counter()
            subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def cold_calls(project: Path, repeats: int) -> dict[str, float]:
    """One instance in a process that does nothing else, from its start to its end."""
    python = [sys.executable, "-c"]
    commands = {
        f"{name} {flow}": [[*python, code.format(flow=flow, n=9000 + n)] for n in range(repeats)]
        for flow in ("light", "plot")
        for name, code in (("ductaflow", ONE_OURS), ("papermill", ONE_PAPERMILL))
    }
    return alternately(commands, project)


def imports(project: Path, repeats: int) -> dict[str, float]:
    """`import ductaflow` against an empty program, and `load_cli_config` against a script without it."""
    (project / "flow" / "plain_pandas.py").write_text(PANDAS_SCRIPT, encoding="utf-8")
    (project / "flow" / "cli_pandas.py").write_text(CLI_SCRIPT, encoding="utf-8")
    python = sys.executable
    commands = {
        "pass": [python, "-c", "pass"],
        "import ductaflow": [python, "-c", "import ductaflow"],
        "pandas script": [python, "flow/plain_pandas.py"],
        "pandas script with load_cli_config": [python, "flow/cli_pandas.py"],
    }
    return alternately({name: [command] * repeats for name, command in commands.items()}, project)


def memory(count: int = 4) -> dict[str, Any]:
    """Private memory of the live processes while light instances wait, two at a time."""
    import pandas as pd

    from ductaflow import run_instances

    control_df = pd.DataFrame({"instance_name": [f"w{n}" for n in range(count)], "factor": range(count)})
    sweep = threading.Thread(target=run_instances, args=(control_df, "flow/waiting.py"), kwargs={"workers": 2})
    sweep.start()
    samples: list[dict[int, tuple[int, bool]]] = []
    while sweep.is_alive():
        time.sleep(0.5)
        samples.append(_sample())
    fullest = max(samples, key=len)
    workers = [size for size, is_worker in fullest.values() if is_worker]
    instances = [size for size, is_worker in fullest.values() if not is_worker]
    if not workers or not instances:
        raise RuntimeError(f"no sample shows both a worker and an instance: {fullest}")
    return {"workers": workers, "instances": instances}


def _sample() -> dict[int, tuple[int, bool]]:
    """For each process below this one: its private bytes, and whether it serves instances (else it is one)."""
    found = {}
    for pid in descendants(os.getpid()):
        try:
            if "ductaflow_runtime" in arguments_of(pid):
                found[pid] = (private_bytes(pid), _serves(pid))
        except OSError:
            continue
    return found


def _serves(pid: int) -> bool:
    """Whether it is a base or a worker, a child of this process or a child's; instances are children of workers."""
    parent = _parent_of(pid)
    return os.getpid() in (parent, _parent_of(parent))


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def leftovers(count: int = 300) -> dict[str, Any]:
    """Threads and file handles of the conductor after `count` instances on 8 workers, and after as many again."""
    import pandas as pd

    from ductaflow import run_instances

    names = [f"l{n:03}" for n in range(count)]
    control_df = pd.DataFrame({"instance_name": names, "factor": range(count)})
    run_instances(control_df.head(2), "flow/light.py", workers=8)
    start = time.perf_counter()
    results = run_instances(control_df, "flow/light.py", workers=8, force=True)
    seconds = time.perf_counter() - start
    after = _held()
    run_instances(control_df, "flow/light.py", workers=8, force=True)
    done = int((results["status"] == "done").sum())
    return {"seconds": seconds, "done": done, "after": after, "after twice": _held()}


def _held() -> dict[str, int]:
    """How many threads and file handles this process has."""
    return {"threads": threading.active_count(), "handles": len(list(Path("/proc/self/fd").iterdir())) - 1}


if __name__ == "__main__":
    watch = {"memory": memory, "leftovers": leftovers}[sys.argv[1]]
    print(json.dumps(watch(*map(int, sys.argv[2:]))))

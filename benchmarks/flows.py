"""The flows that are measured, and the project in which they are executed.

Each is one text of cells. It becomes a ductaflow flow (with the CLI cell), a notebook for the other
engines (without it, which favours them) and a plain script, so that all contenders do the same work.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

LIGHT = """\
# %%
import pandas as pd

# %%
frame = pd.DataFrame({"x": range(1000)})
frame["y"] = frame["x"] * config["factor"]

# %%
frame.describe()

# %%
frame.to_csv("frame.csv", index=False)
print(f"wrote {len(frame)} rows, factor {config['factor']}")
"""

PLOT = """\
# %%
import matplotlib.pyplot as plt
import numpy as np

# %%
x = np.linspace(0, 10, 200)
figure, axes = plt.subplots(figsize=(6, 4))
axes.plot(x, np.sin(x * config["factor"]))
axes.set_title(f"factor {config['factor']}")
figure.savefig("figure.png")
plt.show()
"""

BUSY = """\
# %%
import time

# %%
start = time.process_time()
total = 0
while time.process_time() - start < 1.0:
    total += sum(range(10_000))
print(total > 0)
"""

WAITING = LIGHT + "\n# %%\nimport time\ntime.sleep(4)\n"
EMPTY = "# %%\npass\n"

PARAMETERS = '# %% tags=["parameters"]\nconfig = {}\n\n'
CLI = """\
# %%
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/base.json", "A measured flow")

"""
SCRIPT = "import json\nimport sys\n\nconfig = json.loads(open(sys.argv[1]).read())\n\n"


@dataclass(frozen=True)
class Flow:
    """A flow, what it stands for, and how many instances a slow and a fast contender execute of it."""

    name: str
    cells: str
    about: str
    slow: int
    fast: int


FLOWS = {
    flow.name: flow
    for flow in (
        Flow("light", LIGHT, "a pandas frame, `describe()`, a CSV file", slow=20, fast=200),
        Flow("plot", PLOT, "a matplotlib figure, shown and saved", slow=12, fast=100),
        Flow("busy", BUSY, "one second of CPU time", slow=6, fast=40),
        Flow("waiting", WAITING, "the light flow, kept alive", slow=2, fast=4),
        Flow("empty", EMPTY, "a cell that does nothing", slow=10, fast=200),
    )
}


def make_project(folder: Path) -> None:
    """A project with every flow in its three forms and its configs."""
    import jupytext
    import nbformat

    for name in ("flow", "config", "notebooks", "scripts"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "measured"\nversion = "0"\n', encoding="utf-8")
    (folder / "config" / "base.json").write_text('{"factor": 1}', encoding="utf-8")
    for flow in FLOWS.values():
        (folder / "flow" / f"{flow.name}.py").write_text(PARAMETERS + CLI + flow.cells, encoding="utf-8")
        (folder / "scripts" / f"{flow.name}.py").write_text(SCRIPT + flow.cells, encoding="utf-8")
        notebook = jupytext.reads(PARAMETERS + flow.cells, fmt="py:percent")
        notebook.metadata.kernelspec = {
            "name": "python3",
            "language": "python",
            "display_name": "Python 3",
        }
        nbformat.write(notebook, folder / "notebooks" / f"{flow.name}.ipynb")


def make_instance(runs: Path, number: int) -> tuple[Path, dict[str, int]]:
    """An empty folder for one instance of a contender, with its config in it."""
    folder, config = runs / f"i{number:04}", {"factor": number}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder, config

"""The project that the staleness tests change: six steps, local modules, inputs of four kinds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ductaflow import plan_instances, run_instances
from tests.conftest import HEAD, Project

KINDS = {"csv": "csv", "parquet": "parquet", "sqlite": "sqlite", "numpy": "npy"}
WAYS = ("config", "project", "computed")

COST = (
    """\
# %% [markdown]
# # What a link costs

"""
    + HEAD
    + """\
# %% tags=["load"]
# The links come from the project's data.
from pathlib import Path
import pandas as pd
from ductaflow import project_path, save_results
from lib.costs import cost

if Path.cwd().parents[3].joinpath("broken_" + Path.cwd().name).exists():
    raise RuntimeError("broken")
links = pd.read_csv(project_path(config["links"]))
told = config.get("year"), config.get("note"), config["fare"].get("peak")

# %% tags=["cost"]
total = cost(links["length"].sum(), config["fare"]["base"])
save_results(total=float(total))

# %%
Path("cost.csv").write_text(f"total\\n{round(total)}\\n")
"""
)
SUM = """
# %%
from pathlib import Path
from ductaflow import instance_path
text = instance_path("cost", config["of"], "cost.csv").read_text()
Path("sum.csv").write_text(text)
"""
READ = """
# %%
import sqlite3
from pathlib import Path
import numpy as np
import pandas as pd
from ductaflow import project_path

root = Path.cwd().parents[2]
name = config.get("path") or "data/" + config["file"] + "." + config["ending"]
path = project_path(name) if config["way"] == "project" else root / name
if config["kind"] == "sqlite":
    connection = sqlite3.connect(path)
    value = connection.execute("select sum(length) from links").fetchone()[0]
    connection.close()
elif config["kind"] == "numpy":
    value = np.load(path).sum()
else:
    value = getattr(pd, "read_" + config["kind"])(path)["length"].sum()
Path("value.txt").write_text(str(value))
"""
LITERAL = """
# %%
import os
import sqlite3
import numpy as np
import pandas as pd
os.chdir("../../..")
pd.read_csv("data/literal.csv")
pd.read_parquet("data/literal.parquet")
np.load("data/literal.npy")
connection = sqlite3.connect("data/literal.sqlite")
connection.execute("select * from links").fetchall()
connection.close()
"""
FOLDER = """
# %%
from pathlib import Path
zones = Path.cwd().parents[2] / "data" / "zones"
names = sorted(path.name for path in zones.glob("*.csv"))
try:
    extra = (zones.parent / "extra.csv").read_text()
except FileNotFoundError:
    extra = ""
Path("names.txt").write_text(" ".join(names) + extra)
"""


def write_data(path: Path, lengths: list[int]) -> None:
    """One small table of links, in the format that the file's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"length": lengths})
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".npy":
        np.save(path, np.array(lengths))
    else:
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("create table links (length integer)")
            connection.executemany("insert into links values (?)", [(value,) for value in lengths])
        connection.close()


class Sample(Project):
    """A project with its control dataframes."""

    def __init__(self, root: Path, engine: str) -> None:
        super().__init__(root, engine)
        self.settings(workers=2)
        self.flows = {"cost": "cost", "second": "cost", "sum": "sum", "read": "read"}
        self.flows |= {"literal": "literal", "folder": "folder"}
        self.rows: dict[str, list[dict[str, Any]]] = {
            "cost": [
                {"instance_name": name, "links": f"data/{file}.csv", "year": 2020, "fare.base": base}
                for name, file, base in (("a", "a", 1), ("b", "b", 2), ("c", "a", 3))
            ],
            "second": [{"instance_name": "a", "links": "data/a.csv", "year": 2020, "fare.base": 7}],
            "sum": [{"instance_name": name, "of": name} for name in "ab"],
            "read": [_reading(kind, way) for kind in KINDS for way in WAYS],
            "literal": [{"instance_name": "all"}],
            "folder": [{"instance_name": "all"}],
        }

    def fill(self) -> None:
        """Write flows, modules and data."""
        self.write_flow("flow/cost.py", COST)
        for name, body in (("sum", SUM), ("read", READ), ("literal", LITERAL), ("folder", FOLDER)):
            self.flow(body, f"flow/{name}.py")
        self.write("lib/__init__.py", "")
        self.write("lib/costs.py", "from lib.rates import RATE\n\n\ndef cost(l, b):\n    return l * RATE + b\n")
        self.write("lib/rates.py", "RATE = 2\n")
        self.write("lib/unused.py", "X = 1\n")
        self.write("config/base.json", '{"links": "data/a.csv", "fare": {"base": 0}}')
        for name in ("a.csv", "b.csv", "zones/one.csv", "zones/two.csv"):
            write_data(self.root / "data" / name, [1, 2])
        for kind, ending in KINDS.items():
            for way in (*WAYS, "literal"):
                name = "literal" if way == "literal" else f"{kind}_{way}"
                write_data(self.root / f"data/{name}.{ending}", [1, 2])

    def frame(self, step: str) -> pd.DataFrame:
        """The control dataframe of a step."""
        rows = self.rows[step]
        return rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)

    def plan(self, step: str) -> dict[str, str]:
        """What `plan_instances` says: `step/instance` -> reason, of those that must run."""
        frame = plan_instances(self.frame(step), f"flow/{self.flows[step]}.py", step_name=step)
        return _reasons(step, frame)

    def run(self, step: str, **options: Any) -> pd.DataFrame:
        """Run a step; failures do not raise."""
        os.environ.pop("PYTEST_CURRENT_TEST", None)  # it would make every test start workers of its own
        flow = f"flow/{self.flows[step]}.py"
        return run_instances(self.frame(step), flow, step_name=step, on_error="continue", **options)

    def run_all(self) -> None:
        """Run every step, in order."""
        for step in self.rows:
            self.run(step)

    def folder(self, instance: str) -> Path:
        """The folder of `step/instance`."""
        return self.root / "runs" / instance

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file, which must hold it."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def edit_record(self, instance: str, **changes: Any) -> None:
        """Change fields of a stored record."""
        path = self.folder(instance) / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def starts(self) -> dict[str, str]:
        """When each instance last started, for telling which have executed since."""
        found = {}
        for path in self.root.glob("runs/*/*/run.json"):
            try:
                started = json.loads(path.read_text())["started"]
            except ValueError:
                started = "unreadable"
            found[f"{path.parts[-3]}/{path.parts[-2]}"] = started
        return found

    def row(self, step: str, name: str) -> dict[str, Any]:
        """One row of a control dataframe, to be changed."""
        return next(row for row in self.rows[step] if row["instance_name"] == name)


def copy_of(built: Path, root: Path, engine: str) -> Sample:
    """The same project elsewhere, times kept."""
    shutil.copytree(built, root)
    return Sample(root, engine)


def _reading(kind: str, way: str) -> dict[str, Any]:
    name, ending = f"{kind}_{way}", KINDS[kind]
    path = None if way == "computed" else f"data/{name}.{ending}"
    return {"instance_name": name, "kind": kind, "way": way, "path": path, "file": name, "ending": ending}


def _reasons(step: str, frame: pd.DataFrame) -> dict[str, str]:
    names, reasons = frame["instance_name"].tolist(), frame["reason"].tolist()
    return {f"{step}/{name}": why for name, why in zip(names, reasons, strict=True) if why is not None}

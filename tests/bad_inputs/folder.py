"""What lies in the folder of results, and was not put there by an execution."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

FOLDER = (
    'Path("runs").write_text("")\nrun_instances(rows, "flow/toll.py")',
    'Path("runs").mkdir()\nPath("runs/toll").write_text("")\nrun_instances(rows, "flow/toll.py")',
    'Path("runs/toll").mkdir(parents=True)\nos.mkfifo("runs/toll/b")\nrun_instances(rows, "flow/toll.py")',
    'Path("runs/toll/b/run.json").mkdir(parents=True)\nrun_instances(rows, "flow/toll.py")',
    'Path("runs/toll").mkdir(parents=True)\nos.symlink("/nowhere", "runs/toll/b")\nrun_instances(rows, "flow/toll.py")',
    'run_instances(rows, "flow/toll.py")\nPath("runs/.ductaflow").rename("runs/hidden")\n'
    'Path("runs/.ductaflow").write_text("")\nrun_instances(rows, "flow/toll.py", force=True)',
)
COMMANDS = (
    "$ ductaflow run flow/toll.py --name low\n$ bash -c 'echo oops > runs/toll/low/run.json'\n"
    "$ ductaflow debug runs/toll/low",
    "$ ductaflow run flow/toll.py --name low\n$ bash -c 'echo oops > runs/toll/low/run.json'\n"
    "$ ductaflow accept toll low",
    "$ ductaflow run flow/toll.py --name low\n$ rm runs/toll/low/config.json\n$ ductaflow debug runs/toll/low",
    "$ ductaflow run flow/toll.py --name low\n$ rm flow/toll.py\n$ ductaflow debug runs/toll/low",
    "$ ductaflow run flow/toll.py --name low\n$ rm flow/toll.py\n$ ductaflow accept toll low",
)
TABLE = Bad(
    'run_instances(rows, "flow/other.py")\nfor table in Path("runs/other/b/tables").iterdir():\n'
    '    table.write_text("a,b\\n")\nload_results("other", table="shares")',
    {
        "flow/other.py": """\
# %% tags=["parameters"]
config = {}

# %%
import pandas as pd
from ductaflow import save_results

save_results(shares=pd.DataFrame({"year": [config["year"]], "price": [config["toll"]["price"]]}))
"""
    },
)
SECTIONS = (Section("Files in the folder of results", (*map(Bad, FOLDER), TABLE, *map(Bad, COMMANDS))),)

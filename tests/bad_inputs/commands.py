"""Commands in a terminal: `ductaflow`, and a flow as a script."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

COMMANDS = (
    "$ ductaflow run flow/tol.py",
    "$ ductaflow run flow/toll.py --set year",
    "$ ductaflow run flow/toll.py --set =2030",
    "$ ductaflow run flow/toll.py --set toll..price=1",
    "$ ductaflow run flow/toll.py --set year.first=2030",
    "$ ductaflow run flow/toll.py --set yaer=2030",
    """$ ductaflow run flow/toll.py --set 'toll={"price": 1, "price": 2}'""",
    "$ ductaflow run flow/toll.py --set year=1e999",
    "$ ductaflow run flow/toll.py --config config",
    "$ ductaflow run flow/toll.py --name a/b",
    "$ ductaflow run flow/toll.py --step ..",
    "$ ductaflow run flow/toll.py --max-memory 2",
    "$ ductaflow plan flow/toll.py --name 'a?'",
    "$ ductaflow plan flow/tol.py",
    "$ ductaflow parameters flow/tol.py",
    "$ ductaflow status toll",
    "$ ductaflow status ../config",
    "$ ductaflow accept toll",
    "$ ductaflow run flow/toll.py --name low\n$ ductaflow accept toll lwo",
    "$ ductaflow run flow/toll.py --name low\n$ ductaflow status tol",
    "$ ductaflow run flow/toll.py --name low\n$ ductaflow prune toll",
    "$ ductaflow report",
    "$ ductaflow report --html toll",
    "$ ductaflow debug runs/toll/low",
    "$ ductaflow debug config",
)
SCRIPTS = (
    "$ python flow/toll.py --config config/nowhere.json",
    "$ python flow/toll.py --set year",
    "$ python flow/toll.py --set yaer=2030",
    "$ python flow/toll.py --output-dir config/base.json",
    "$ python flow/toll.py --output-dir ''",
    "$ python flow/toll.py --outputdir runs/toll/low",
    "$ ductaflow run flow/toll.py --name low\n$ cd runs/toll/low && python ../../../flow/toll.py",
)
SECTIONS = (
    Section("Commands", tuple(map(Bad, COMMANDS))),
    Section("A flow as a script", tuple(map(Bad, SCRIPTS))),
)

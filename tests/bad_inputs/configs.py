"""Configs that cannot be stored, or that the flow cannot use; what all rows share; secrets."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

VALUES = (
    'run_notebook("flow/toll.py", ["year", 2030])',
    'run_notebook("flow/toll.py", "config/base.json")',
    'run_notebook("flow/toll.py", 2030)',
    'run_notebook("flow/toll.py", {"year": {2030}, "toll": {"price": b"2.5"}})',
    'run_notebook("flow/toll.py", {"toll": {"price": Decimal("2.5")}})',
    'run_notebook("flow/toll.py", {"toll": {"price": -math.inf}})',
    'run_notebook("flow/toll.py", {"toll": {"price": [1, 2 + 1j]}})',
    'run_notebook("flow/toll.py", {"year": datetime.timedelta(days=1)})',
    'run_notebook("flow/toll.py", {"year": datetime.time(12)})',
    'run_notebook("flow/toll.py", {"year": rows})',
    'run_notebook("flow/toll.py", {"year": rows["year"]})',
    'run_notebook("flow/toll.py", {"year": range(2030, 2035)})',
    'run_notebook("flow/toll.py", {"year": int})',
    'run_notebook("flow/toll.py", {"year": pd.Period("2030")})',
    'run_notebook("flow/toll.py", {"year": 10**5000})',
    'run_notebook("flow/toll.py", {2030: "year"})',
    'run_notebook("flow/toll.py", {"toll": {None: 1, 10**5000: 2}})',
    'run_notebook("flow/toll.py", {"year": "\\ud800"})',
    'run_notebook("flow/toll.py", {"year\\ud800": 1})',
    'config = {}\nconfig["toll"] = config\nrun_notebook("flow/toll.py", config)',
    'config = {}\nfor _ in range(100):\n    config = {"toll": config}\nrun_notebook("flow/toll.py", config)',
    'import collections\nrun_notebook("flow/toll.py", collections.OrderedDict(year=2030))',
    'import collections\nrun_notebook("flow/toll.py", {"toll": collections.OrderedDict(price=1)})',
)
KEYS = (
    'run_notebook("flow/toll.py", {"yaer": 2030, "toll": {"price": 2.5}})',
    'run_notebook("flow/toll.py", {"year": 2030, "toll": {"prize": 2.5}})',
    'run_notebook("flow/toll.py", {"year": 2030, "speed": 50, "note": "by Ann"})',
)
BASE = (
    'run_instances(rows, "flow/toll.py", base_config="config/bsae.json")',
    'run_instances(rows, "flow/toll.py", base_config="config")',
    'run_instances(rows, "flow/toll.py", base_config=2030)',
    'run_instances(rows, "flow/toll.py", base_config={"year": {2030}})',
    'run_instances(rows.assign(toll=5).drop(columns="toll.price"), "flow/toll.py", base_config="config/base.json")',
    'run_instances(rows, "flow/toll.py", base_config={"toll": 2.5})',
    'run_instances(rows, "flow/toll.py", base_config={"toll.price": 2.5})',
    'run_notebook("flow/toll.py", {"toll": 5, "toll.price": 2}, base_config={"year": 2030})',
)
SECRETS = (
    'run_notebook("flow/toll.py", {"year": {"$env": "TRAFFIC_TOKEN"}})',
    'run_instances(rows.assign(**{"toll.price.$env": "TRAFFIC_TOKEN"}).drop(columns="toll.price"), "flow/toll.py")',
    'os.environ["TRAFFIC_TOKEN"] = "abc"\nrun_notebook("flow/toll.py", {"year": {"$env": "TRAFFIC_TOKEN"}})',
    'run_notebook("flow/toll.py", {"year": {"$env": "TRAFFIC TOKEN"}})',
    'run_notebook("flow/toll.py", {"year": {"$env": "TRAFFIC_TOKEN", "default": ""}})',
    'run_notebook("flow/toll.py", {"$env": "TRAFFIC_TOKEN"})',
    'run_notebook("flow/toll.py", {"year": {"$env": None}})',
)
SECTIONS = (
    Section("Values of a config", tuple(map(Bad, VALUES))),
    Section("Keys that the flow does not read", tuple(map(Bad, KEYS))),
    Section("What all rows share", tuple(map(Bad, BASE))),
    Section("Secrets", tuple(map(Bad, SECRETS))),
)

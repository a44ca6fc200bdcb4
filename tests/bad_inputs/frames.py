"""Control dataframes and names of instances that cannot be used."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

FRAMES = (
    'run_instances([{"year": 2030}], "flow/toll.py")',
    'run_instances(None, "flow/toll.py")',
    'run_instances("rows.csv", "flow/toll.py")',
    'run_instances(rows["year"], "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": 0}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": ""}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": "toll..year"}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": np.nan}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": "toll.price"}), "flow/toll.py")',
    'run_instances(rows.assign(toll=5), "flow/toll.py")',
    'run_instances(rows.assign(status="new"), "flow/toll.py")',
    'run_instances(rows.assign(**{"result.cost": 1}), "flow/toll.py")',
    'run_instances(pd.concat({"in": rows}, axis=1), "flow/toll.py")',
    'run_instances(rows.assign(**{".".join("abcdefgh" * 20): 1}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"year": "yaer"}), "flow/toll.py")',
    'run_instances(rows.rename(columns={"toll.price": "toll.prize"}), "flow/toll.py")',
    'run_instances(rows.assign(comment="by Ann"), "flow/toll.py")',
    'run_instances(rows.assign(instance_name=["a", "A"]), "flow/toll.py")',
    'run_instances(rows.drop(columns="instance_name").assign(year=2030, **{"toll.price": 1}), "flow/toll.py")',
    'plan_instances(rows.assign(year=[{2030}, 2035], instance_name=["a/b", "c:d"]), "flow/toll.py")',
    'plan_instances(rows.assign(year=[math.inf, Decimal("1.5")]), "flow/toll.py")',
    'plan_instances(rows.assign(year=pd.to_timedelta([1, 2], unit="h")), "flow/toll.py")',
    'plan_instances(rows.assign(year=np.array([1, 2], dtype=complex)), "flow/toll.py")',
    'plan_instances(rows.assign(year=pd.interval_range(0, 2)), "flow/toll.py")',
    'plan_instances(rows.assign(year=["2030\\ud800", 2035]), "flow/toll.py")',
)
NAMES = (
    'run_instances(rows.assign(instance_name=[1.5, "b"]), "flow/toll.py")',
    'run_instances(rows.assign(instance_name=[None, "b"]), "flow/toll.py")',
    'run_instances(rows.assign(instance_name=[True, 10**5000]), "flow/toll.py")',
    'run_notebook("flow/toll.py", instance_name="")',
    'run_notebook("flow/toll.py", instance_name="..")',
    'run_notebook("flow/toll.py", instance_name="2030/low")',
    'run_notebook("flow/toll.py", instance_name="2030\\\\low")',
    'run_notebook("flow/toll.py", instance_name="low?")',
    'run_notebook("flow/toll.py", instance_name=".hidden")',
    'run_notebook("flow/toll.py", instance_name="low.")',
    'run_notebook("flow/toll.py", instance_name="con.2030")',
    'run_notebook("flow/toll.py", instance_name="conin$")',
    'run_notebook("flow/toll.py", instance_name="low\\n2030")',
    'run_notebook("flow/toll.py", instance_name="low\\x1b[31m")',
    'run_notebook("flow/toll.py", instance_name="low\\ud800")',
    'run_notebook("flow/toll.py", instance_name="x" * 101)',
    'run_notebook("flow/toll.py", instance_name="\\u6771" * 90)',
    'run_notebook("flow/toll.py", instance_name=["low"])',
    'run_notebook("flow/toll.py", {"instance_name": 1.5})',
    'run_notebook("flow/toll.py", {"instance_name": 10**5000})',
    'run_step_flow("flow/toll.py", "toll", None, {"year": [1, {2}]})',
)
SECTIONS = (
    Section("Control dataframes", tuple(map(Bad, FRAMES))),
    Section("Names of instances", tuple(map(Bad, NAMES))),
)

"""Arguments of the functions that a conductor and a flow call."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

NUMBERS = (
    'run_instances(rows, "flow/toll.py", workers=0)',
    'run_instances(rows, "flow/toll.py", workers="4")',
    'run_instances(rows, "flow/toll.py", workers=1.5)',
    'run_instances(rows, "flow/toll.py", timeout="10 min")',
    'run_instances(rows, "flow/toll.py", timeout=0)',
    'run_instances(rows, "flow/toll.py", timeout=math.nan)',
    'run_instances(rows, "flow/toll.py", timeout=10**5000)',
    'run_instances(rows, "flow/toll.py", max_memory="2 XB")',
    'run_instances(rows, "flow/toll.py", max_memory=2)',
    'run_instances(rows, "flow/toll.py", max_memory="9" * 400 + " GB")',
    'run_instances(rows, "flow/toll.py", retries=-1)',
    'run_instances(rows, "flow/toll.py", retries=1.5)',
    'run_instances(rows, "flow/toll.py", on_error="ignore")',
    'run_instances(rows, "flow/toll.py", on_error=0)',
    'run_instances(rows, "flow/toll.py", executor="dask")',
    'run_instances(rows, "flow/toll.py", force="no")',
    'run_instances(rows, "flow/toll.py", export_html="false")',
    'run_instances(rows, "flow/toll.py", whole="yes")',
)
PATHS = (
    'run_instances(rows, "flow/toll.py", runs_dir="s3://bucket/runs")',
    'run_instances(rows, "flow/toll.py", runs_dir="")',
    'run_instances(rows, "flow/toll.py", runs_dir=5)',
    'run_instances(rows, "flow/toll.py", runs_dir="runs\\0")',
    'run_instances(rows, "flow/toll.py", runs_dir="x" * 5000)',
    'run_instances(rows, "flow/toll.py", runs_dir="config/base.json")',
    'run_instances(rows, "flow/toll.py", step_name="a/b")',
    'run_instances(rows, "flow/toll.py", step_name="")',
    'run_instances(rows, "flow/toll.py", step_name=5)',
    'run_instances(rows, "flow/toll.py", kernel_name=5)',
)
IN_FLOWS = (
    "save_results(12.5)",
    'save_results({"cost": 1}, cost=2)',
    'save_results(links={"a"})',
    'save_results({5: "cost"})',
    "save_results(cost={})",
    'save_results({"cost": {"toll": 1}, "cost.toll": 2})',
    "save_results(shares=pd.DataFrame())",
    'save_results(shares=pd.DataFrame({"a": [1, object]}))',
    "save_results(shares=pd.DataFrame({5: [1]}))",
    'save_results({"shares/car": rows})',
    'project_path("..", "secrets.txt")',
    'project_path("data\\0")',
    "project_path(5)",
    'instance_path("toll", "..")',
    'instance_path("toll", None)',
    'instance_path("toll", "a", "../b/run.json")',
    'run_instances(rows, "flow/toll.py")\nload_results("tol")',
    'load_results("a/b")',
    "load_results(5)",
    'load_results(table="shares")',
    'run_instances(rows, "flow/toll.py")\nload_results("toll", table="shares")',
    "display_config_summary([1, 2])",
)
SECTIONS = (
    Section("Limits and choices", tuple(map(Bad, NUMBERS))),
    Section("Paths, steps and kernels", tuple(map(Bad, PATHS))),
    Section("What a flow calls, and results that are read", tuple(map(Bad, IN_FLOWS))),
)

# %% [markdown]
# # My analysis
#
# Each row of `control_df` is one instance. Run the file again, and only rows whose inputs changed are
# executed.

# %%
import json

import pandas as pd
from ductaflow import project_path, run_instances

# %%
# What all rows share comes from config/, what is their own from the rows.
# A dotted column such as `minutes.bus` changes a nested part of the config.
base_config = json.loads(project_path("config", "my_analysis.json").read_text(encoding="utf-8"))

rows = pd.DataFrame(
    {
        "instance_name": ["free", "today", "fast_bus"],
        "fare": [0.0, 2.5, 2.5],
        "minutes.bus": [35, 35, 25],
    }
)
shared = pd.json_normalize([base_config] * len(rows)).drop(columns=rows.columns, errors="ignore")
control_df = rows.join(shared)
control_df

# %%
results = run_instances(control_df, "flow/my_analysis.py")

# %%
print(results[["instance_name", "fare", "minutes.bus", "status", "result.bus_share"]].to_string(index=False))
print()
print("Where to look")
print(f"  {project_path('runs')}  a folder for each instance: executed notebook, config, log, results")
print(f"  {project_path('runs', 'index.html')}  all instances on one page")

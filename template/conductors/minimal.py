# %% [markdown]
# # My analysis
#
# Each row of `control_df` is one instance. Run the file again, and only rows whose inputs changed are
# executed.

# %%
import pandas as pd
from ductaflow import project_path, run_instances

# %%
# What is the rows' own. A dotted column such as `minutes.bus` changes a nested part of the config.
control_df = pd.DataFrame(
    {
        "instance_name": ["free", "today", "fast_bus"],
        "fare": [0.0, 2.5, 2.5],
        "minutes.bus": [35, 35, 25],
    }
)
control_df

# %%
# What all rows share comes from config/.
results = run_instances(control_df, "flow/my_analysis.py", base_config="config/my_analysis.json")

# %%
print(results[["instance_name", "fare", "minutes.bus", "status", "result.bus_share"]].to_string(index=False))
print()
print("Where to look")
print(f"  {project_path('runs')}  a folder for each instance: executed notebook, config, log, results")
print(f"  {project_path('runs', 'index.html')}  all instances on one page")

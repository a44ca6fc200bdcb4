# %% [markdown]
# # Does a new road help?
#
# Braess found in 1968 that a new road can make every driver slower. Two routes lead from start to end, each
# with a wide road (45 minutes at any flow) and a narrow one (flow / 100 minutes). The shortcut joins the
# narrow roads and takes no time at all.
#
# This conductor assigns a range of demands to the network with and without the shortcut. Each row of
# `control_df` is one instance: run the file again, and only rows whose inputs changed are executed.

# %%
import matplotlib.pyplot as plt
import pandas as pd
from ductaflow import project_path, run_instances

# %% [markdown]
# ## The rows: network x demand
#
# Each row holds what is its own; what all rows share stands in `config/assign_traffic.json`. A dotted column
# such as `assignment.max_iterations` would change a nested part of it.

# %%
networks = ["braess_base", "braess_shortcut"]  # folders in data/networks/
demand_factors = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.25, 2.5]  # 1.0 is 4,000 vehicles

control_df = pd.DataFrame(
    [
        {
            "instance_name": f"{network}_x{factor:.2f}",
            "network": network,
            "demand_factor": factor,
        }
        for network in networks
        for factor in demand_factors
    ]
)
control_df

# %% [markdown]
# ## The sweep

# %%
assignments = run_instances(control_df, "flow/assign_traffic.py", base_config="config/assign_traffic.json")

# %% [markdown]
# ## The comparison: one instance for each demand

# %%
comparison_df = pd.DataFrame(
    {
        "instance_name": [f"braess_x{factor:.2f}" for factor in demand_factors],
        "base_instance": [f"braess_base_x{factor:.2f}" for factor in demand_factors],
        "new_instance": [f"braess_shortcut_x{factor:.2f}" for factor in demand_factors],
    }
)
comparisons = run_instances(comparison_df, "flow/compare_networks.py")

# %%
table = pd.DataFrame(
    {
        "vehicles": comparisons["result.demand"].astype(int),
        "without shortcut (min)": comparisons["result.mean_time_base"].round(2),
        "with shortcut (min)": comparisons["result.mean_time_new"].round(2),
        "change (min)": comparisons["result.change"].round(2) + 0.0,  # no minus before 0.0
        "with the shortcut": comparisons["result.verdict"],
    }
)
print(table.to_string(index=False))

# %% [markdown]
# ## Where the paradox appears and where it ends
#
# At low demand the shortcut helps. From 3,000 vehicles on it harms: both narrow roads fill up, and yet no
# driver gains by leaving them. From 9,000 vehicles on nobody takes it, and it makes no difference.

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(table["vehicles"], table["without shortcut (min)"], marker="o", label="without the shortcut")
axes.plot(table["vehicles"], table["with shortcut (min)"], marker="o", label="with the shortcut")
axes.fill_between(
    table["vehicles"],
    table["without shortcut (min)"],
    table["with shortcut (min)"],
    where=table["change (min)"] >= 0,
    alpha=0.2,
    color="tab:red",
    label="the new road makes everyone slower",
)
axes.set(xlabel="demand (vehicles)", ylabel="mean travel time (minutes)", title="Braess's paradox")
axes.legend()
figure_file = project_path("runs", "braess_paradox.png")
figure.savefig(figure_file, dpi=120)

# %% [markdown]
# ## The classic case: 4,000 vehicles

# %%
classic = comparisons[comparisons["instance_name"] == "braess_x1.00"].iloc[0]
print()
print(f"Mean travel time at {classic['result.demand']:,.0f} vehicles")
print(f"  without the shortcut  {classic['result.mean_time_base']:6.2f} minutes")
print(f"  with the shortcut     {classic['result.mean_time_new']:6.2f} minutes")
print()
print("Where to look")
print(f"  {figure_file}  the figure")
print(f"  {project_path('runs')}  a folder for each instance: executed notebook, config, log, results")
print(f"  {project_path('runs', 'index.html')}  all instances on one page")

# %% [markdown]
# # Comparing two networks: who gains, who loses?
#
# Takes two instances of `assign_traffic` that carry the same demand and compares what the drivers get.
#
# Reads what the two instances have written:
#
# - `flows.csv`: `flow` (vehicles) and `travel_time` (minutes) of each link
# - `od_times.csv`: `trips` (vehicles) and `travel_time` (minutes) of each origin-destination pair
#
# Writes:
#
# - `link_changes.csv`, one row a link: flows and travel times, base and new
# - `od_changes.csv`, one row an origin-destination pair: travel times, base and new
# - `comparison.png`: the links with the largest change

# %% tags=["parameters"]
# Parameters cell: the config of the instance is put in here
config = {}

# %% CLI Mode - the same file works as a notebook and as a script
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/compare_networks.json", "Compare two assignments")

# %%
from ductaflow import display_config_summary

display_config_summary(config, "Network comparison")

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ductaflow import instance_path, save_results

base_instance = config["base_instance"]
new_instance = config["new_instance"]
noticeable = 0.001  # minutes: less is the assignment's rounding, not a change

# %% [markdown]
# ## The two assignments


# %%
def read_result(instance, file_name, nodes):
    """Read one file that an instance of assign_traffic has written; `nodes` are its name columns."""
    path = instance_path("assign_traffic", instance, file_name)
    if not path.is_file():
        raise FileNotFoundError(
            f"assign_traffic/{instance} has no {file_name}: run that instance first, "
            "for example with conductor.py"
        )
    return pd.read_csv(path, dtype=dict.fromkeys(nodes, str))


base_links, new_links = (
    read_result(instance, "flows.csv", ["from", "to"]) for instance in [base_instance, new_instance]
)
base_od, new_od = (
    read_result(instance, "od_times.csv", ["origin", "destination"])
    for instance in [base_instance, new_instance]
)

# %% [markdown]
# ## Travel times between zones
#
# Only the same demand makes a fair comparison, so both instances must have carried it.

# %%
od = base_od.set_index(["origin", "destination"])[["trips", "travel_time"]]
new = new_od.set_index(["origin", "destination"])[["trips", "travel_time"]]
if set(od.index) != set(new.index) or not np.allclose(od["trips"], new["trips"].reindex(od.index)):
    raise ValueError(
        f"{base_instance} and {new_instance} carry different demand "
        f"({od['trips'].sum():,.0f} and {new['trips'].sum():,.0f} vehicles): compare like with like"
    )

od = od.rename(columns={"travel_time": "time_base"}).assign(time_new=new["travel_time"])
od["change"] = od["time_new"] - od["time_base"]
od.reset_index().to_csv("od_changes.csv", index=False)

demand = float(od["trips"].sum())
mean_time_base = float(np.average(od["time_base"], weights=od["trips"]))
mean_time_new = float(np.average(od["time_new"], weights=od["trips"]))
change = mean_time_new - mean_time_base
verdict = "no change" if abs(change) < noticeable else "better" if change < 0 else "worse"

print(f"Demand:              {demand:,.0f} vehicles")
print(f"Mean time, base:     {mean_time_base:.2f} minutes")
print(f"Mean time, new:      {mean_time_new:.2f} minutes ({verdict}, {change:+.2f} minutes)")
print(f"Pairs that gain:     {(od['change'] < -noticeable).sum()} of {len(od)}")
print(f"Pairs that lose:     {(od['change'] > noticeable).sum()} of {len(od)}")

# %% [markdown]
# ## Flows on the links
#
# Parallel links between the same two nodes are added up. A link that only one network has carries
# nothing in the other.

# %%
both = {}
for name, table in {"base": base_links, "new": new_links}.items():
    grouped = table.groupby(["from", "to"])
    both[f"flow_{name}"] = grouped["flow"].sum()
    both[f"travel_time_{name}"] = grouped["travel_time"].min()
links = pd.DataFrame(both)
links[["flow_base", "flow_new"]] = links[["flow_base", "flow_new"]].fillna(0.0)
links["flow_change"] = links["flow_new"] - links["flow_base"]
links.reset_index().to_csv("link_changes.csv", index=False)

# %%
largest = links.reindex(links["flow_change"].abs().nlargest(15).index)[::-1]
position = np.arange(len(largest))
labels = [f"{start} to {end}" for start, end in largest.index]

figure, axes = plt.subplots(figsize=(8, 1.5 + 0.4 * len(largest)), layout="constrained")
axes.barh(position + 0.2, largest["flow_base"], height=0.4, label=base_instance)
axes.barh(position - 0.2, largest["flow_new"], height=0.4, label=new_instance)
axes.set_yticks(position, labels)
axes.set(title=f"Links with the largest change, {demand:,.0f} vehicles", xlabel="vehicles")
axes.legend()
figure.savefig("comparison.png", dpi=120)

# %%
save_results(
    demand=demand,  # vehicles
    mean_time_base=mean_time_base,  # minutes per vehicle
    mean_time_new=mean_time_new,  # minutes per vehicle
    change=change,  # minutes per vehicle
    verdict=verdict,
)

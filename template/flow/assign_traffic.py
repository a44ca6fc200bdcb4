# %% [markdown]
# # Traffic assignment: which roads do the drivers take?
#
# Every driver takes the route that is quickest for them, given what all the others do. The assignment
# looks for the *user equilibrium*: the link flows at which nobody gains by changing route.
#
# Reads from `data/networks/<network>/`:
#
# - `links.csv`: `from, to, capacity` (vehicles), `free_flow_time` (minutes), `b, power`
# - `demand.csv`: `origin, destination, trips` (vehicles)
#
# Writes:
#
# - `flows.csv`, one row a link: `flow` (vehicles), `travel_time` and `free_flow_time` (minutes)
# - `od_times.csv`, one row an origin-destination pair: `trips` (vehicles), `travel_time` (minutes)
# - `convergence.csv`, one row an iteration: how far from equilibrium
# - `assignment.png`: convergence, and where the time is spent

# %% tags=["parameters"]
# Parameters cell: the config of the instance is put in here
config = {}

# %% CLI Mode - the same file works as a notebook and as a script
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/assign_traffic.json", "Assign traffic to a network")

# %%
from ductaflow import display_config_summary

display_config_summary(config, "Traffic assignment")

# %%
import matplotlib.pyplot as plt
from ductaflow import save_results

from src.equilibrium import find_equilibrium
from src.network import read_network

max_iterations = config["assignment"]["max_iterations"]
gap_target = config["assignment"]["gap_target"]  # relative gap at which to stop

# %% [markdown]
# ## The network and the demand
#
# `src/network.py` reads both tables, and refuses what cannot be right. A demand factor of 1.0 is the
# demand as it stands in `demand.csv`.

# %%
network = read_network(config["network"], config["demand_factor"])
size = f"{len(network.nodes):,} nodes, {len(network.links):,} links"
print(f"{network.name}: {size}, {len(network.demand):,} origin-destination pairs")
print(f"Demand: {network.total_demand:,.0f} vehicles")

# %% [markdown]
# ## Method
#
# The travel time of a link grows with its flow, after the formula of the US Bureau of Public Roads:
# `time = free_flow_time * (1 + b * (flow / capacity) ** power)`, in minutes. With `b = 0` the link takes
# the same time at any flow.
#
# The equilibrium is the flow that minimises *Beckmann's objective*, the sum over the links of the area
# under this curve. The objective has no meaning for a traveller; it turns the search into a minimisation.
#
# The search (`src/equilibrium.py`) is the bi-conjugate Frank-Wolfe method of Mitradjieva and Lindberg
# (2013): step by step it moves the flows towards those on the quickest routes, as far as the objective
# falls.
#
# The *relative gap* says how far from equilibrium the flows are: the share of the total travel time that
# drivers would save if each of them could change to the route that is quickest now. At equilibrium it is
# zero.

# %%
assignment, convergence = find_equilibrium(network, gap_target, max_iterations)

# %% [markdown]
# ## Results

# %%
flows = network.links[["from", "to"]].assign(
    flow=assignment.flow, travel_time=assignment.travel_time, free_flow_time=network.links["free_flow_time"]
)
od_times = network.demand.assign(travel_time=assignment.od_travel_time)
flows.to_csv("flows.csv", index=False)
od_times.to_csv("od_times.csv", index=False)
convergence.to_csv("convergence.csv", index=False)

mean_travel_time = assignment.total_travel_time / network.total_demand
print(f"Total travel time: {assignment.total_travel_time:,.0f} vehicle-minutes")
print(f"Mean travel time:  {mean_travel_time:.2f} minutes per vehicle")

# %%
slowest = flows.assign(hours=flows["flow"] * flows["travel_time"] / 60).nlargest(15, "hours")[::-1]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.semilogy(convergence["iteration"], convergence["relative_gap"].clip(lower=1e-16), marker=".")
left.axhline(gap_target, linestyle="--", color="grey", label="target")
left.set(title="Convergence", xlabel="iteration", ylabel="relative gap")
left.legend()
right.barh(range(len(slowest)), slowest["hours"], tick_label=slowest["from"] + " to " + slowest["to"])
right.set(title="Links where most time is spent", xlabel="vehicle-hours")
figure.suptitle(f"{network.name} at {network.total_demand:,.0f} vehicles")
figure.savefig("assignment.png", dpi=120)

# %%
save_results(
    demand=network.total_demand,  # vehicles
    mean_travel_time=mean_travel_time,  # minutes per vehicle
    total_travel_time=assignment.total_travel_time,  # vehicle-minutes
    beckmann_objective=assignment.beckmann_objective,  # vehicle-minutes
    relative_gap=assignment.relative_gap,
    iterations=assignment.iteration,
)

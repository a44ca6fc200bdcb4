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
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ductaflow import project_path, save_results
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

network = config["network"]  # a folder in data/networks/
demand_factor = config["demand_factor"]  # 1.0 is the demand as it stands in demand.csv
max_iterations = config["assignment"]["max_iterations"]
gap_target = config["assignment"]["gap_target"]  # relative gap at which to stop

# %% [markdown]
# ## The network and the demand
#
# A wrong number is cheaper to find here than in the results, so every table is checked as it is read.

# %%
folder = project_path("data", "networks", network)
if not folder.is_dir():
    known = sorted(path.name for path in folder.parent.iterdir() if path.is_dir())
    raise ValueError(f"There is no network {network!r} in data/networks; there are: {', '.join(known)}")


def read_table(file_name, nodes, numbers):
    """Read one table. `nodes` are columns with node names, `numbers` maps a column to its rule."""
    table = pd.read_csv(folder / file_name, dtype=dict.fromkeys(nodes, str), skipinitialspace=True)
    where = f"data/networks/{network}/{file_name}"
    missing = [column for column in [*nodes, *numbers] if column not in table.columns]
    if missing:
        raise ValueError(f"{where} has no column {', '.join(missing)}; it has: {', '.join(table.columns)}")
    for column in nodes:
        if table[column].isna().any():
            raise ValueError(f"{where}, line {table[column].isna().idxmax() + 2}: {column} is empty")
    for column, rule in numbers.items():
        values = pd.to_numeric(table[column], errors="coerce")
        allowed = np.isfinite(values) & (values > 0 if rule == "above zero" else values >= 0)
        if not allowed.all():
            line = (~allowed).idxmax()
            raise ValueError(
                f"{where}, line {line + 2}: {column} must be a number {rule}, not {table[column][line]}"
            )
        table[column] = values.astype(float)
    return table


# %%
links = read_table(
    "links.csv",
    nodes=["from", "to"],
    numbers={
        "capacity": "above zero",
        "free_flow_time": "of zero or more",
        "b": "of zero or more",
        "power": "of zero or more",
    },
)
demand = read_table("demand.csv", nodes=["origin", "destination"], numbers={"trips": "of zero or more"})
demand["trips"] *= demand_factor

# Trips within a zone do not use the network
demand = demand[(demand["origin"] != demand["destination"]) & (demand["trips"] > 0)]
demand = demand.groupby(["origin", "destination"], sort=False, as_index=False)["trips"].sum()
if demand.empty:
    raise ValueError(f"{network} has no trips between different zones at demand factor {demand_factor}")
total_demand = float(demand["trips"].sum())

node_names = np.unique(links[["from", "to"]].to_numpy(dtype=str))
strangers = sorted(set(demand["origin"]).union(demand["destination"]).difference(node_names))
if strangers:
    raise ValueError(f"{network}: demand.csv names nodes without any link: {', '.join(strangers[:5])}")

print(f"{network}: {len(node_names):,} nodes, {len(links):,} links, {len(demand):,} origin-destination pairs")
print(f"Demand: {total_demand:,.0f} vehicles")

# %% [markdown]
# ## How long a link takes
#
# The travel time of a link grows with its flow, after the formula of the US Bureau of Public Roads:
# `time = free_flow_time * (1 + b * (flow / capacity) ** power)`, in minutes. With `b = 0` the link takes
# the same time at any flow.
#
# The equilibrium is the flow that minimises *Beckmann's objective*, the sum over the links of the area
# under this curve. The objective has no meaning for a traveller; it turns the search into a minimisation.

# %%
capacity, free_flow_time, b, power = (
    links[column].to_numpy() for column in ["capacity", "free_flow_time", "b", "power"]
)


def travel_time(flow):
    """Minutes on each link."""
    return free_flow_time * (1 + b * (flow / capacity) ** power)


def travel_time_slope(flow):
    """Minutes that one more vehicle adds to each link."""
    return free_flow_time * b * power / capacity * (flow / capacity) ** np.maximum(power - 1, 0)


def beckmann_objective(flow):
    """Area under the travel time curves, in vehicle-minutes."""
    return float(np.sum(free_flow_time * flow * (1 + b / (power + 1) * (flow / capacity) ** power)))


# %% [markdown]
# ## All vehicles on the quickest routes
#
# With the travel times held fixed, everyone takes the quickest route. Of parallel links between two nodes
# only the quickest counts. Routes are then walked back from all destinations at once, one link a step.

# %%
from_node = np.searchsorted(node_names, links["from"].to_numpy(dtype=str))
to_node = np.searchsorted(node_names, links["to"].to_numpy(dtype=str))
node_pairs, pair_of_link = np.unique(from_node * len(node_names) + to_node, return_inverse=True)

origin_names, origin_row = np.unique(demand["origin"].to_numpy(dtype=str), return_inverse=True)
origin_node = np.searchsorted(node_names, origin_names)
destination_node = np.searchsorted(node_names, demand["destination"].to_numpy(dtype=str))
trips = demand["trips"].to_numpy()


def quickest_routes(time):
    """Link flows (vehicles) with everyone on the quickest route, and the minutes of each pair."""
    by_time = np.lexsort((time, pair_of_link))
    quickest = by_time[np.searchsorted(pair_of_link[by_time], np.arange(len(node_pairs)))]
    graph = csr_array(
        (time[quickest], (from_node[quickest], to_node[quickest])), shape=(len(node_names), len(node_names))
    )
    minutes, previous = dijkstra(graph, indices=origin_node, return_predecessors=True)

    flow = np.zeros(len(links))
    travelling = np.flatnonzero(np.isfinite(minutes[origin_row, destination_node]))
    node = destination_node[travelling]
    while len(travelling):
        came_from = previous[origin_row[travelling], node]
        link = quickest[np.searchsorted(node_pairs, came_from * len(node_names) + node)]
        flow += np.bincount(link, weights=trips[travelling], minlength=len(links))
        under_way = came_from != origin_node[origin_row[travelling]]
        travelling, node = travelling[under_way], came_from[under_way]
    return flow, minutes[origin_row, destination_node]


# %%
flow, od_minutes = quickest_routes(travel_time(np.zeros(len(links))))
if not np.isfinite(od_minutes).all():
    cut_off = demand[~np.isfinite(od_minutes)]
    pairs = ", ".join(f"{row.origin} to {row.destination}" for row in cut_off.head(5).itertuples())
    raise ValueError(f"{network}: {len(cut_off)} origin-destination pair(s) have no route: {pairs}")

# %% [markdown]
# ## Towards the equilibrium
#
# The Frank-Wolfe method moves the flows towards a *target*, as far as Beckmann's objective falls. The
# plain method takes the flows on the quickest routes as target, and ends up zigzagging. The bi-conjugate
# variant (Mitradjieva and Lindberg, 2013) blends them with its last two targets so that a step does not
# undo the two before it; that takes hundreds of iterations instead of tens of thousands.


# %%
def blend_target(flow, quickest_flow, last_targets, step):
    """The next target: the flows on the quickest routes, blended with the last two targets."""
    slope = travel_time_slope(flow)

    def weight(over, under):
        return max(over / under, 0.0) if under > 0 else 0.0

    to_quickest = quickest_flow - flow
    weights = [1.0]
    if last_targets:
        to_last = last_targets[0] - flow
        weights.append(weight(-to_last @ (slope * to_quickest), to_last @ (slope * to_last)))
    if len(last_targets) == 2:
        to_mix = step * last_targets[0] + (1 - step) * last_targets[1] - flow
        apart = last_targets[1] - last_targets[0]
        second = weight(-to_mix @ (slope * to_quickest), to_mix @ (slope * apart))
        weights[1] += second * step / (1 - step)
        weights.append(second)
    return np.average([quickest_flow, *last_targets], axis=0, weights=weights)


def best_step(flow, target):
    """How far to move, from 0 (stay) to 1 (all the way): where Beckmann's objective is lowest."""

    def objective_slope(step):
        return (target - flow) @ travel_time((1 - step) * flow + step * target)

    return 1.0 if objective_slope(1.0) <= 0 else brentq(objective_slope, 0.0, 1.0)


# %% [markdown]
# The *relative gap* says how far from equilibrium the flows are: the share of the total travel time that
# drivers would save if each of them could change to the route that is quickest now. At equilibrium it is
# zero.

# %%
iterations = []
last_targets, step = [], 0.0
for iteration in range(1, max_iterations + 1):
    time = travel_time(flow)
    quickest_flow, od_minutes = quickest_routes(time)
    total_time = float(flow @ time)
    gap = max(1 - float(trips @ od_minutes) / total_time, 0.0) if total_time > 0 else 0.0
    iterations.append((iteration, gap, beckmann_objective(flow), total_time))
    if iteration <= 10 or iteration % 100 == 0:
        print(f"Iteration {iteration:5d}: relative gap {gap:.2e}")
    if gap <= gap_target or iteration == max_iterations:
        break

    target = blend_target(flow, quickest_flow, last_targets, step)
    if (target - flow) @ time >= 0:  # not downhill: fall back on the plain method
        target, last_targets = quickest_flow, []
    step = best_step(flow, target)
    flow = (1 - step) * flow + step * target
    last_targets = [target, *last_targets][:2] if step < 1 else []

print(f"After {iteration} iterations: relative gap {gap:.2e}, target {gap_target:.0e}")
if gap > gap_target:
    warnings.warn(
        f"Not at equilibrium: relative gap {gap:.1e} after {iteration} iterations, target {gap_target:.0e}. "
        "Raise assignment.max_iterations.",
        stacklevel=1,
    )

# %% [markdown]
# ## Results

# %%
flows = links[["from", "to"]].assign(flow=flow, travel_time=time, free_flow_time=free_flow_time)
flows.to_csv("flows.csv", index=False)
od_times = demand[["origin", "destination", "trips"]].assign(travel_time=od_minutes)
od_times.to_csv("od_times.csv", index=False)
convergence = pd.DataFrame(
    iterations, columns=["iteration", "relative_gap", "beckmann_objective", "total_travel_time"]
)
convergence.to_csv("convergence.csv", index=False)

print(f"Total travel time: {total_time:,.0f} vehicle-minutes")
print(f"Mean travel time:  {total_time / total_demand:.2f} minutes per vehicle")

# %%
slowest = flows.assign(hours=flow * time / 60).nlargest(15, "hours")[::-1]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.semilogy(convergence["iteration"], convergence["relative_gap"].clip(lower=1e-16), marker=".")
left.axhline(gap_target, linestyle="--", color="grey", label="target")
left.set(title="Convergence", xlabel="iteration", ylabel="relative gap")
left.legend()
right.barh(range(len(slowest)), slowest["hours"], tick_label=slowest["from"] + " to " + slowest["to"])
right.set(title="Links where most time is spent", xlabel="vehicle-hours")
figure.suptitle(f"{network} at {total_demand:,.0f} vehicles")
figure.savefig("assignment.png", dpi=120)

# %%
save_results(
    demand=float(total_demand),  # vehicles
    mean_travel_time=total_time / total_demand,  # minutes per vehicle
    total_travel_time=total_time,  # vehicle-minutes
    beckmann_objective=beckmann_objective(flow),  # vehicle-minutes
    relative_gap=gap,
    iterations=iteration,
)

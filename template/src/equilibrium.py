"""The user equilibrium of a network: the link flows at which no driver gains by changing route.

Flows are in vehicles and times in minutes; an array of either has one number a link.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra


@dataclass(frozen=True)
class Step:
    """One iteration on the way to the equilibrium."""

    iteration: int  # from 1
    flow: np.ndarray
    travel_time: np.ndarray  # at this flow
    od_travel_time: np.ndarray  # minutes of each row of the demand, on its quickest route
    total_travel_time: float  # vehicle-minutes
    beckmann_objective: float  # vehicle-minutes
    relative_gap: float  # 0 is the equilibrium


def find_equilibrium(network, gap_target, max_iterations):
    """The last Step of the search, and a table with a row for each; how it goes is printed.

    The search ends at the relative gap `gap_target`, or with a warning after `max_iterations`.
    """
    iterations = []
    for step in steps_to_equilibrium(network):
        iterations.append(
            (step.iteration, step.relative_gap, step.beckmann_objective, step.total_travel_time)
        )
        if step.iteration <= 10 or step.iteration % 100 == 0:
            print(f"Iteration {step.iteration:5d}: relative gap {step.relative_gap:.2e}")
        if step.relative_gap <= gap_target or step.iteration >= max_iterations:
            break

    print(f"After {step.iteration} iterations: relative gap {step.relative_gap:.2e}, target {gap_target:.0e}")
    if step.relative_gap > gap_target:
        warnings.warn(
            f"Not at equilibrium: relative gap {step.relative_gap:.1e} after {step.iteration} iterations, "
            f"target {gap_target:.0e}. Raise assignment.max_iterations.",
            stacklevel=2,
        )
    columns = ["iteration", "relative_gap", "beckmann_objective", "total_travel_time"]
    return step, pd.DataFrame(iterations, columns=columns)


def steps_to_equilibrium(network):
    """Yield one Step after another, for as long as the caller asks for more.

    The Frank-Wolfe method moves the flows towards a target, as far as Beckmann's objective falls. The plain
    method takes the flows on the quickest routes as target, and ends up zigzagging. The bi-conjugate variant
    (Mitradjieva and Lindberg, 2013) blends them with its last two targets so that a step does not undo the
    two before it; that takes hundreds of iterations instead of tens of thousands. A ValueError names the
    origin-destination pairs that have no route.
    """
    times, routes = LinkTimes(network.links), Routes(network)
    trips = network.demand["trips"].to_numpy()
    flow, od_time = routes.quickest(times.at(np.zeros(len(network.links))))
    refuse_cut_off(network, od_time)

    iteration, last_targets, step_size = 0, [], 0.0
    while True:
        iteration += 1
        time = times.at(flow)
        quickest_flow, od_time = routes.quickest(time)
        total_time = float(flow @ time)
        gap = max(1 - float(trips @ od_time) / total_time, 0.0) if total_time > 0 else 0.0
        yield Step(iteration, flow, time, od_time, total_time, times.beckmann_objective(flow), gap)

        target = blend_target(flow, times.slope(flow), quickest_flow, last_targets, step_size)
        if (target - flow) @ time >= 0:  # not downhill: fall back on the plain method
            target, last_targets = quickest_flow, []
        step_size = best_step_size(times, flow, target)
        flow = (1 - step_size) * flow + step_size * target
        last_targets = [target, *last_targets][:2] if step_size < 1 else []


def refuse_cut_off(network, od_time):
    """Raise a ValueError if there is no route for some of the demand."""
    cut_off = network.demand[~np.isfinite(od_time)]
    if len(cut_off):
        pairs = ", ".join(f"{row.origin} to {row.destination}" for row in cut_off.head(5).itertuples())
        raise ValueError(f"{network.name}: {len(cut_off)} origin-destination pair(s) have no route: {pairs}")


class LinkTimes:
    """How long each link takes, after the formula of the US Bureau of Public Roads."""

    def __init__(self, links):
        self.capacity, self.free_flow_time, self.b, self.power = (
            links[column].to_numpy() for column in ["capacity", "free_flow_time", "b", "power"]
        )

    def at(self, flow):
        """Minutes on each link."""
        return self.free_flow_time * (1 + self.b * (flow / self.capacity) ** self.power)

    def slope(self, flow):
        """Minutes that one more vehicle adds to each link."""
        steepness = self.free_flow_time * self.b * self.power / self.capacity
        return steepness * (flow / self.capacity) ** np.maximum(self.power - 1, 0)

    def beckmann_objective(self, flow):
        """Area under the travel time curves, in vehicle-minutes."""
        mean_growth = self.b / (self.power + 1) * (flow / self.capacity) ** self.power
        return float(np.sum(self.free_flow_time * flow * (1 + mean_growth)))


class Routes:
    """The quickest routes of all the demand, at any travel times."""

    def __init__(self, network):
        nodes, links, demand = network.nodes, network.links, network.demand
        self.node_count, self.link_count = len(nodes), len(links)
        self.from_node = np.searchsorted(nodes, links["from"].to_numpy(dtype=str))
        self.to_node = np.searchsorted(nodes, links["to"].to_numpy(dtype=str))
        self.node_pairs, self.pair_of_link = np.unique(
            self.from_node * self.node_count + self.to_node, return_inverse=True
        )
        origins, self.origin_row = np.unique(demand["origin"].to_numpy(dtype=str), return_inverse=True)
        self.origin_node = np.searchsorted(nodes, origins)
        self.destination_node = np.searchsorted(nodes, demand["destination"].to_numpy(dtype=str))
        self.trips = demand["trips"].to_numpy()

    def quickest(self, time):
        """Link flows with everyone on the quickest route, and the minutes of each row of the demand.

        Of parallel links between two nodes only the quickest counts. Routes are walked back from all
        destinations at once, one link a step.
        """
        by_time = np.lexsort((time, self.pair_of_link))
        quickest = by_time[np.searchsorted(self.pair_of_link[by_time], np.arange(len(self.node_pairs)))]
        graph = csr_array(
            (time[quickest], (self.from_node[quickest], self.to_node[quickest])),
            shape=(self.node_count, self.node_count),
        )
        minutes, previous = dijkstra(graph, indices=self.origin_node, return_predecessors=True)
        od_time = minutes[self.origin_row, self.destination_node]

        flow = np.zeros(self.link_count)
        travelling = np.flatnonzero(np.isfinite(od_time))
        node = self.destination_node[travelling]
        while len(travelling):
            came_from = previous[self.origin_row[travelling], node]
            link = quickest[np.searchsorted(self.node_pairs, came_from * self.node_count + node)]
            flow += np.bincount(link, weights=self.trips[travelling], minlength=self.link_count)
            under_way = came_from != self.origin_node[self.origin_row[travelling]]
            travelling, node = travelling[under_way], came_from[under_way]
        return flow, od_time


def blend_target(flow, slope, quickest_flow, last_targets, step_size):
    """The next target: the flows on the quickest routes, blended with the last two targets."""

    def weight(over, under):
        return max(over / under, 0.0) if under > 0 else 0.0

    to_quickest = quickest_flow - flow
    weights = [1.0]
    if last_targets:
        to_last = last_targets[0] - flow
        weights.append(weight(-to_last @ (slope * to_quickest), to_last @ (slope * to_last)))
    if len(last_targets) == 2:
        to_mix = step_size * last_targets[0] + (1 - step_size) * last_targets[1] - flow
        apart = last_targets[1] - last_targets[0]
        second = weight(-to_mix @ (slope * to_quickest), to_mix @ (slope * apart))
        weights[1] += second * step_size / (1 - step_size)
        weights.append(second)
    return np.average([quickest_flow, *last_targets], axis=0, weights=weights)


def best_step_size(times, flow, target):
    """How far to move, from 0 (stay) to 1 (all the way): where Beckmann's objective is lowest."""

    def objective_slope(step_size):
        return (target - flow) @ times.at((1 - step_size) * flow + step_size * target)

    return 1.0 if objective_slope(1.0) <= 0 else brentq(objective_slope, 0.0, 1.0)

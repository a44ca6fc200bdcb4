"""A road network and the demand on it, read from `data/networks/<name>/`.

A wrong number is cheaper to find here than in the results, so every table is checked as it is read.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ductaflow import project_path

# What each column of numbers may hold
LINK_COLUMNS = {
    "capacity": "above zero",  # vehicles
    "free_flow_time": "of zero or more",  # minutes
    "b": "of zero or more",
    "power": "of zero or more",
}
DEMAND_COLUMNS = {"trips": "of zero or more"}  # vehicles


@dataclass(frozen=True)
class Network:
    """Nodes, links and the trips between the nodes."""

    name: str
    nodes: np.ndarray  # names, sorted
    links: pd.DataFrame  # from, to, capacity, free_flow_time, b, power
    demand: pd.DataFrame  # origin, destination, trips; none within a node, one row a pair

    @property
    def total_demand(self):
        """Vehicles on the network."""
        return float(self.demand["trips"].sum())


def read_network(name, demand_factor):
    """The network `name`, its trips times `demand_factor`; a ValueError says what is wrong, and where."""
    folder = project_path("data", "networks", name)
    if not folder.is_dir():
        known = sorted(path.name for path in folder.parent.iterdir() if path.is_dir())
        raise ValueError(f"There is no network {name!r} in data/networks; there are: {', '.join(known)}")
    where = f"data/networks/{name}"
    links = read_table(folder / "links.csv", where, nodes=["from", "to"], numbers=LINK_COLUMNS)
    demand = read_table(folder / "demand.csv", where, nodes=["origin", "destination"], numbers=DEMAND_COLUMNS)
    demand["trips"] *= demand_factor

    # Trips within a zone do not use the network
    demand = demand[(demand["origin"] != demand["destination"]) & (demand["trips"] > 0)]
    demand = demand.groupby(["origin", "destination"], sort=False, as_index=False)["trips"].sum()
    if demand.empty:
        raise ValueError(f"{name} has no trips between different zones at demand factor {demand_factor}")

    nodes = np.unique(links[["from", "to"]].to_numpy(dtype=str))
    strangers = sorted(set(demand["origin"]).union(demand["destination"]).difference(nodes))
    if strangers:
        raise ValueError(f"{name}: demand.csv names nodes without any link: {', '.join(strangers[:5])}")
    return Network(name, nodes, links, demand)


def read_table(path, where, nodes, numbers):
    """Read one table. `nodes` are columns with node names, `numbers` maps a column to its rule."""
    table = pd.read_csv(path, dtype=dict.fromkeys(nodes, str), skipinitialspace=True)
    where = f"{where}/{path.name}"
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

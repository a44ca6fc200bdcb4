# %% [markdown]
# # How many travellers take the bus?
#
# A first flow to replace by your own. It computes the share of travellers who take the bus instead of the
# car with a binary logit model: the lower the generalised cost of the bus, the more take it.

# %% tags=["shared"]
# Shared cell: executed once for all instances, so load here what does not depend on the config
import pandas as pd

# %% tags=["parameters"]
# Parameters cell: the config of the instance is put in here
config = {}

# %% CLI Mode - the same file works as a notebook and as a script
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config("config/my_analysis.json", "Compute the share of bus travellers")

# %%
from ductaflow import display_config_summary

display_config_summary(config, "Share of bus travellers")

# %%
import math

from ductaflow import save_results

fare = config["fare"]  # euros a trip
minutes = config["minutes"]  # travel time of each mode
value_of_time = config["value_of_time"]  # euros an hour
sensitivity = config["sensitivity"]  # per euro: how strongly travellers react to a difference in cost

# %%
# Generalised cost in euros: the time, at its value, and what is paid
cost = pd.Series(
    {
        "bus": minutes["bus"] / 60 * value_of_time + fare,
        "car": minutes["car"] / 60 * value_of_time + config["car_cost"],
    }
)
share = 1 / (1 + math.exp(sensitivity * (cost["bus"] - cost["car"])))

result = pd.DataFrame({"cost": cost, "share": [share, 1 - share]}).rename_axis("mode")
result.to_csv("shares.csv")
print(result.round(3))

# %%
save_results(bus_share=share)

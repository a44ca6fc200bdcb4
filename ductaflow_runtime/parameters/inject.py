"""What a flow is given of a config: `config` itself, or each of its keys as a variable, as papermill does it."""

from __future__ import annotations

from pathlib import Path

from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.parameters.cell import CONFIG
from ductaflow_runtime.parameters.keys import FlowKeys

NAME = "instance_name"
_NO_CELL = "{path} has no parameters cell, so it can be given no {keys}. {advice}"
_ADD_CELL = """Add these lines near its top:

# %% tags=["parameters"]
# Parameters cell: the config of the instance is put in here
config = {}"""
_TAG_CELL = 'Give the tag "parameters" to the cell that assigns them.'
_MOST_NAMED = 5


def given_to(flow: Path, keys: FlowKeys, config: Config) -> Config:
    """The variables that are injected into a flow; none at all for an empty config and a flow of papermill's kind.

    Raises `ConfigError` if the flow has no parameters cell and the config says more than the instance's name.
    """
    if keys.has_cell:
        return {CONFIG: config} if keys.takes_config else config
    extra = [key for key in config if key != NAME]
    if extra:
        named = ", ".join(f"`{key}`" for key in extra[:_MOST_NAMED])
        more = f" and {len(extra) - _MOST_NAMED} more" if len(extra) > _MOST_NAMED else ""
        advice = _ADD_CELL if flow.suffix == ".py" else _TAG_CELL
        raise ConfigError(_NO_CELL.format(path=flow, keys=named + more, advice=advice))
    return {}

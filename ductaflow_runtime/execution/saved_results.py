"""The results of an instance: what `save_results` takes, and what a flow that cannot call it leaves in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.values import Config, to_json
from ductaflow_runtime.errors import ConfigError

RESULTS_NAME = "results.json"


def clean_results(values: dict[str, Any], where: str) -> Config:
    """Named results as plain JSON scalars and lists; raises `ConfigError` that says `where` and lists what is none."""
    problems: list[str] = []
    clean = {name: to_json(value, name, problems) for name, value in values.items()}
    problems += [
        f"{name}: a result is a number, a text, true/false, null or a list, not an object"
        for name, value in clean.items()
        if isinstance(value, dict)
    ]
    if problems:
        raise ConfigError(where, problems)
    return clean


def read_results(directory: Path) -> Config:
    """The results in a flow's `results.json`, if it wrote one; raises `ConfigError` for one that cannot be stored."""
    path = directory / RESULTS_NAME
    try:
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{RESULTS_NAME} cannot be read as JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f'{RESULTS_NAME} must hold one object, such as {{"total": 1.5}}')
    return clean_results(loaded, f"{RESULTS_NAME} holds what cannot be stored:")

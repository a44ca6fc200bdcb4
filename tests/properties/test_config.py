"""The config border: what a flow gets is what was given, exactly, or a sentence says why not."""

from __future__ import annotations

import datetime
import json
import math
import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ductaflow import ConfigError, run_instances
from ductaflow_runtime.config.texts import apply_settings, parse_config
from ductaflow_runtime.config.values import dump, to_config
from ductaflow_runtime.staleness.value_changes import same_types
from tests.conftest import Project
from tests.properties.values import dates, impossible, json_objects, json_values, nested, plain, scalars, tried

ECHO = """
# %%
import json
from pathlib import Path

Path("seen.json").write_text(json.dumps(config))
"""
NO_JSON = object()
rows_of_objects = st.lists(json_objects, min_size=8, max_size=8)


def as_json(value: Any) -> Any:
    """What a value is as JSON, by what the documentation says of it; `NO_JSON` if it says that it is refused."""
    if value is None or value is pd.NA or value is pd.NaT or value is np.ma.masked:
        return None
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.timedelta64 | np.longdouble):
        return NO_JSON
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**4300 else NO_JSON
    if isinstance(value, float):
        return None if math.isnan(value) else NO_JSON if math.isinf(value) else value
    if isinstance(value, str):
        return value if value.encode("utf-8", "replace").decode() == value else NO_JSON
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    if type(value) in (list, tuple):
        items = [as_json(item) for item in value]
        return NO_JSON if any(item is NO_JSON for item in items) else items
    if type(value) is dict:
        told = {as_json(key): as_json(item) for key, item in value.items()}
        return NO_JSON if any(each is NO_JSON for pair in told.items() for each in pair) else told
    return NO_JSON


@given(nested(st.one_of(plain, dates, scalars)) | nested(st.one_of(plain, impossible)))
def test_exact_or_refused(config: dict[str, Any]) -> None:
    """What arrives is the same to the last digit and type; what cannot arrive is named, with its key."""
    wanted = as_json(config)
    arrived = tried(lambda: parse_config(dump(to_config(config)), "the file"))
    assert isinstance(arrived, ConfigError) == (wanted is NO_JSON), arrived
    if isinstance(arrived, ConfigError):
        assert arrived.problems
        assert all(": " in problem and problem.encode() for problem in arrived.problems)
    else:
        assert same_types(arrived, wanted), (arrived, wanted)


@given(nested(st.one_of(plain, dates, scalars)))
def test_what_is_clean_stays_as_it_is(config: dict[str, Any]) -> None:
    """A config that has been read is plain: reading it again changes nothing, and its text is the same each time."""
    clean = tried(lambda: to_config(config))
    if isinstance(clean, dict):
        assert same_types(to_config(clean), clean)
        assert dump(to_config(clean)) == dump(clean)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | json_values.map(json.dumps))
def test_any_text_is_a_config_or_refused(text: str) -> None:
    """Whatever a config file holds, it is an object or an error that names the file."""
    config = tried(lambda: parse_config(text, "config file c.json"))
    if isinstance(config, dict):
        assert same_types(parse_config(dump(config), "again"), config)
    else:
        assert str(config).startswith("config file c.json")


@given(
    st.lists(st.text(max_size=20) | st.sampled_from(["a=1", "a.b=2", "a.b.c=x", "$env=A", "a.$env=A", "a={}", "=1"]))
)
def test_any_setting_is_applied_or_refused(given: list[str]) -> None:
    """`--set` changes the config, or says what is wrong with which of its arguments."""
    config = tried(lambda: apply_settings({"a": {"b": 1}}, given))
    if isinstance(config, dict):
        assert same_types(parse_config(dump(config), "again"), config)
    else:
        assert str(config).startswith("--set")


@settings(max_examples=3)
@given(given=rows_of_objects)
def test_what_a_flow_sees(project: Project, given: list[dict[str, Any]]) -> None:
    """In a sweep each flow has the values of its own row, exactly."""
    sees_its_own(project, given)


@settings(max_examples=1)
@pytest.mark.engines("spawn")
@given(given=rows_of_objects)
def test_what_a_flow_sees_in_a_fresh_interpreter(project: Project, given: list[dict[str, Any]]) -> None:
    """So it has where nothing is inherited."""
    sees_its_own(project, given)


def sees_its_own(project: Project, given: list[dict[str, Any]]) -> None:
    """Each row's values are in what its flow saw and in its config file."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    project.flow(ECHO)
    rows = pd.DataFrame({"instance_name": [f"r{number}" for number in range(len(given))], "value": given})
    project.settings(unknown_keys="ignore")
    assert set(run_instances(rows, "flow/step.py")["status"]) <= {"done", "up to date"}
    for number, value in enumerate(given):
        folder = project.root / "runs" / "step" / f"r{number}"
        for name in ("seen.json", "config.json"):
            seen = json.loads(Path(folder / name).read_text(encoding="utf-8"))
            assert same_types(seen, {"value": as_json(value)}), name

"""The table [tool.ductaflow]: a value is used as it is meant, or refused by name; nothing comes up later."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ductaflow import ProjectError
from ductaflow_runtime.conductor.plan import Options
from ductaflow_runtime.memory import read_amount
from ductaflow_runtime.project import Project
from ductaflow_runtime.settings import Settings

NAMES = [item.name for item in fields(Settings)]
words = st.sampled_from(
    ["", "runs", "2 GB", "error", "warn", "fork", "spawn", "10 min", "s3://bucket/runs", "\0", "1e400 GB"]
)
values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, 4, 30, 10**400, 2**53 + 1])
    | st.floats()
    | words
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda part: st.lists(part, max_size=2),
    max_leaves=3,
)


def in_toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def settings_of(content: bytes) -> Settings | str:
    """The settings of a project with this file, or what is said about them."""
    found = project_with(content)
    return found if isinstance(found, str) else found.settings


def project_with(content: bytes) -> Project | str:
    """A project with this file, or what is said about it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_bytes(content)
        try:
            found = Project.at(root)
            assert found.settings is not None  # read while the file is there
            return found
        except ProjectError as error:
            return str(error)


@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
def test_used_as_meant_or_refused(table: dict[str, Any]) -> None:
    """What is accepted is what was written, and every call can use it; else the message names the setting."""
    lines = [f"{name} = {in_toml(value)}" for name, value in table.items()]
    project = project_with("\n".join(["[tool.ductaflow]", *lines]).encode())
    if isinstance(project, str):
        assert any(name in project for name in table), project
        return
    found = project.settings
    for name, value in table.items():
        assert getattr(found, name) == (tuple(value) if isinstance(value, list) else value)
    options = Options().settled(project)
    limit = table.get("max_memory")
    assert options.bytes_of_memory == (None if limit is None else read_amount(limit))
    assert (options.workers, options.timeout, options.retries) == (found.workers, found.timeout, found.retries)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_file(content: bytes) -> None:
    """Whatever pyproject.toml holds, it has settings, or a message names the file."""
    found = settings_of(content)
    assert isinstance(found, Settings) or "pyproject.toml" in found


@given(st.dictionaries(st.sampled_from(["tool", "tool.ductaflow", "project", "project.name"]), values, max_size=3))
def test_other_tables(table: dict[str, Any]) -> None:
    """The rest of the file may be anything: it is read for the project's name, and for nothing else."""
    lines = [f"{name} = {in_toml(value)}" for name, value in table.items()]
    found = settings_of("\n".join(lines).encode())
    assert isinstance(found, Settings) or "pyproject.toml" in found

"""Names of instances: what is accepted is a folder everywhere, and no two of a sweep are the same one anywhere."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ductaflow import ConfigError, plan_instances
from ductaflow_runtime.runs.instance import as_name, check_name, folded, name_problem
from tests.conftest import Project
from tests.properties.values import plain, scalars, tried

# A name as somebody may write it: any text, and texts that some system takes for something else.
odd = st.sampled_from(
    ["con", "NUL.txt", "com¹", "CONIN$", "a:b", "..", ".", "x.", " ", "\x7f", "lpt1 .x", "a\\b", "\u2028"]
)
names = st.text(max_size=110) | odd | st.builds(str.__add__, odd, st.text(max_size=3))
NFC: Callable[[str], str] = lambda name: unicodedata.normalize("NFC", name)  # noqa: E731
NFD: Callable[[str], str] = lambda name: unicodedata.normalize("NFD", name)  # noqa: E731
ALIKE: list[Callable[[str], str]] = [str.lower, str.casefold, str.upper, NFC, NFD]


@given(names)
@example("a" * 100)
@example("\u6771" * 80)
def test_accepted_names_are_folders(name: str) -> None:
    """An accepted name makes a folder that is listed by the same name, also on Windows; another has its reason."""
    problem = name_problem(name)
    if problem is not None:
        assert problem.startswith("instance name ")
        assert problem.encode()
        assert "\n" not in problem
        return
    assert check_name(name) == name
    assert not PureWindowsPath(name).is_reserved()
    assert PureWindowsPath(name).parts == (name,)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).mkdir()
        assert os.listdir(folder) == [name]


@given(plain | scalars)
def test_what_names_an_instance(given: object) -> None:
    """A name is a text or a whole number, and nothing else becomes one."""
    name = as_name(given)
    if name_problem(name) is None:
        assert type(name) is str
        assert name == str(given)


# No file system that ignores case takes a dotless i for an I.
@given(st.text(st.characters(exclude_characters="\u0131"), min_size=1, max_size=6), st.sampled_from(ALIKE))
def test_names_that_some_system_takes_for_one(name: str, alike: Callable[[str], str]) -> None:
    """Two names that differ in case, or in how accents are written, count as one."""
    assert folded(alike(name)) == folded(name)


@settings(max_examples=25)
@given(given=st.lists(st.text(st.sampled_from("aAbB\u00e9\u00c9e\u0301\u00df. "), min_size=1, max_size=3), max_size=5))
def test_no_two_rows_in_one_folder(project: Project, given: list[str]) -> None:
    """A sweep is planned if its names are folders of their own wherever it may be copied; else each row is told."""
    project.flow("print(config)")
    project.settings(unknown_keys="ignore")
    frame = pd.DataFrame({"instance_name": pd.Series(given, dtype=object)})
    wrong = [number for number, name in enumerate(given) if name_problem(name)]
    seen: dict[str, int] = {}
    for number, name in enumerate(given):
        if number not in wrong and seen.setdefault(NFD(NFD(name).casefold()), number) != number:
            wrong.append(number)
    planned = tried(lambda: plan_instances(frame, "flow/step.py"))
    told = planned.problems if isinstance(planned, ConfigError) else ()
    assert {problem.split(":")[0].split(" (")[0] for problem in told} == {f"row {n}" for n in wrong}

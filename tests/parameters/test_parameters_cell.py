"""What a flow's parameters cell says, and how the flow is therefore given its parameters."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ductaflow_runtime.parameters.cell import Parameter, list_parameters
from ductaflow_runtime.parameters.check import type_warnings
from ductaflow_runtime.parameters.expected import Expected
from ductaflow_runtime.parameters.gate import examine_columns
from ductaflow_runtime.parameters.keys import CodeCell, analyse_keys, from_json
from tests.parameters.flows import body, keys_of

PAPERMILL = """\
# %% tags=["parameters"]
import datetime
alpha = 0.1  # type: float  learning rate
n_steps: int = 10  # how many
name: str | None = None
a, b = 1, (2, 3)
options = {
    "seed": 1,
    "when": datetime.date.today(),
}
start = datetime.date(2026, 1, 1)
total = 1
total += 1
limit: float
if a:
    mode = "fast"

# %%
print(alpha)
"""


def parameters_cell(text: str) -> CodeCell:
    """A parameters cell alone."""
    return CodeCell(text, ast.parse(text), is_parameters=True)


def test_each_variable_of_a_papermill_cell_is_a_parameter() -> None:
    """Assigned and declared names are parameters, with those defaults that are plain values; imports are none."""
    keys = keys_of(PAPERMILL)
    assert not keys.takes_config
    assert keys.parameters == ("alpha", "n_steps", "name", "a", "b", "options", "start", "total", "limit", "mode")
    assert keys.defaults == {
        "alpha": 0.1,
        "n_steps": 10,
        "name": None,
        "a": 1,
        "b": [2, 3],
        "options": {"seed": 1, "when": None},
    }


@pytest.mark.parametrize(
    ("cell", "code", "takes_config"),
    [
        ("config = {}", "print(1)", True),
        ("config: dict = {}", "print(1)", True),
        ("config: dict", "print(1)", True),
        ("config = {}; alpha = 1", "print(alpha)", True),
        ("# nothing yet", "print(config['a'])", True),
        ("# nothing yet", "print(1)", True),
        ("alpha = 1", "print(alpha)", False),
        ("alpha = 1", "config = {'a': alpha}\nprint(config)", False),
        ("# nothing yet", "print(alpha)", False),
        ("configuration = {}", "print(configuration)", False),
    ],
)
def test_whether_a_flow_takes_config_or_variables(cell: str, code: str, takes_config: bool) -> None:
    """`config` in the parameters cell decides, or code that reads one from outside; else each key is a variable."""
    keys = analyse_keys([parameters_cell(cell), CodeCell(code, ast.parse(code))])
    assert keys.takes_config is takes_config


def test_a_flow_without_parameters_cell_line_still_takes_config() -> None:
    """The CLI cell's own assignment is no reason to think that the flow makes its config itself."""
    text = body("print(config['a'])").replace("config = {}", "")
    assert keys_of(text).takes_config


def test_a_variable_that_is_read_before_it_is_assigned_can_be_given() -> None:
    """What code reads and nothing before it assigns must come from outside; what a loop assigns need not."""
    code = (
        "for i in range(alpha):\n    gap = i\n"
        "print(gap, beta, [x for x in 'ab'])\n"
        "if gap:\n    side = 1\nelse:\n    side = 2\n"
        "try:\n    gamma\nexcept NameError as error:\n    gamma = 1\n"
        "def f(y):\n    return y + delta\n"
        "print(side, f(1))\n"
        "beta = 2\n"
    )
    keys = analyse_keys([parameters_cell("alpha = 1"), CodeCell(code, ast.parse(code))])
    assert keys.free == ("beta", "delta", "gamma")


def test_the_analysis_survives_its_cache() -> None:
    """What is stored as JSON comes back as the same value."""
    for text in (PAPERMILL, body("print(config['a']['b'])\nfor k in config['c']:\n    print(k)")):
        keys = keys_of(text)
        assert from_json(json.loads(json.dumps(keys.as_json()))) == keys


def test_parameters_are_listed_with_default_hint_and_comment() -> None:
    """Hints and comments are papermill's reading of the cell; the names and defaults are the syntax's."""
    source = PAPERMILL.partition("\n")[2].partition("# %%")[0]
    found = {parameter.name: parameter for parameter in list_parameters(source, ast.parse(source))}
    assert found["alpha"] == Parameter("alpha", "0.1", "float", "learning rate")
    assert found["n_steps"] == Parameter("n_steps", "10", "int", "how many")
    assert found["name"] == Parameter("name", "None", "str | None", "")
    assert found["b"].default == "(2, 3)"
    assert found["limit"] == Parameter("limit", "", "float", "")
    assert "datetime" not in found


def test_parameters_of_other_languages_are_listed_by_their_lines() -> None:
    """Papermill inspects Python only; in R, Julia and bash each assignment on a line of its own is a parameter."""
    source = "# settings\nalpha <- 0.1  # learning rate\nlearning.rate = 2\nx=1\nn: Int = 3\nif (a == 1) {}\n"
    assert list_parameters(source, None) == [
        Parameter("alpha", "0.1", help="learning rate"),
        Parameter("learning.rate", "2"),
        Parameter("x", "1"),
        Parameter("n", "3", "Int"),
    ]


def test_nothing_is_certain_of_a_flow_in_another_language() -> None:
    """Its names are known by their words, comments left out, and the reason says why no more is."""
    cells = [CodeCell("alpha <- 0.1", None, is_parameters=True), CodeCell("# beta\ny <- alpha * gamma", None)]
    keys = analyse_keys(cells)
    assert keys.parameters == ("alpha",)
    assert "gamma" in keys.names
    assert "beta" not in keys.names
    assert keys.why_hidden(()) == "cell 1 is not Python that can be read"


def test_planning_does_not_import_papermill() -> None:
    """The analysis and the check need only the syntax of the cells."""
    code = (
        "import sys\nimport ductaflow_runtime.parameters.check, ductaflow_runtime.config.files\n"
        "print([name for name in ('papermill', 'IPython', 'pandas', 'yaml') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_value_of_another_type_than_the_default_is_told() -> None:
    """Text for a number and the like are worth a line with both; whole numbers, floats and null are not."""
    defaults = {"a": 1, "b": 0.5, "c": "x", "d": True, "e": [1], "f": {"g": 1}, "h": None}
    fine = {"a": 2.5, "b": 1, "c": "y", "d": False, "e": [], "f": {"g": None}, "h": "x", "new": 1}
    assert type_warnings(defaults, fine) == []
    wrong = {"a": "2", "b": True, "c": 1, "d": 1, "e": 1, "f": {"g": "1"}}
    assert type_warnings(defaults, wrong) == [
        "`a` is text ('2'), its default is a number (1)",
        "`b` is true or false (True), its default is a number (0.5)",
        "`c` is a number (1), its default is text ('x')",
        "`d` is a number (1), its default is true or false (True)",
        "`e` is a number (1), its default is a list ([1])",
        "`f.g` is text ('1'), its default is a number (1)",
    ]
    assert type_warnings({"f": {"g": 1}}, {"f": 2}) == ["`f` is a number (2), its default is an object ({'g': 1})"]


def test_a_sweep_is_looked_at_by_its_columns(tmp_path: Path) -> None:
    """Of each column one cell of each type, and of objects with other keys, is checked; each row with one is told."""
    columns: dict[str, list[Any]] = {"a": [1] * 1000, "m.b": [None] * 1000, "o": [{"x": 1}] * 1000}
    columns["a"][500] = "x"
    columns["o"][700] = columns["o"][900] = {"x": 1, "y": 2}
    keys = keys_of(body('print(config["a"], config["m"]["c"], config["o"]["x"])'))
    expected = Expected(tmp_path / "flow.py", tmp_path, keys, {"a": 2}, {})
    found = examine_columns(expected, columns)
    assert [(finding.row, finding.certain, finding.text[:25]) for finding in found] == [
        (None, False, "`a` is text ('x'), its de"),
        (None, True, "unknown parameter `m.b`. "),
        (700, True, "unknown parameter `o.y`. "),
        (900, True, "unknown parameter `o.y`. "),
    ]

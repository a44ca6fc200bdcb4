"""A value that is given is read, or it is told that it does not arrive: the order of cells and statements counts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ductaflow_runtime.parameters.arrival import Arrival
from ductaflow_runtime.parameters.expected import Expected
from ductaflow_runtime.parameters.gate import examine, examine_columns
from ductaflow_runtime.parameters.keys import CodeCell, analyse_keys
from tests.parameters.flows import keys_of

CELL = "alpha = 0.1"
TAKES = "config = {}"


def flow(cell: str, *below: str, above: str = "") -> str:
    """A flow with this parameters cell, and cells above and below it."""
    first = f"# %%\n{above}\n\n" if above else ""
    return first + f'# %% tags=["parameters"]\n{cell}\n' + "".join(f"\n# %%\n{code}\n" for code in below)


def told(text: str, root: Path, **given: object) -> list[tuple[bool, str]]:
    """What is said of a config, and of a control dataframe with the same keys, which is the same."""
    expected = Expected(root / "flow/step.py", root, keys_of(text), {}, {})
    found = [(finding.certain, finding.text) for finding in examine(expected, dict(given))]
    in_columns = examine_columns(expected, {key: [value, value] for key, value in given.items()})
    assert [(finding.certain, finding.text) for finding in in_columns] == found
    assert all(finding.row is None for finding in in_columns)
    return found


LOST = {
    "assigned anew": (flow(CELL, "alpha = 0.2", "print(alpha)"), "cell 2 assigns `alpha` anew"),
    "config assigned anew": (
        flow(TAKES, 'config = {"alpha": 0.2}', 'print(config["alpha"])'),
        "cell 2 assigns `config`",
    ),
    "another parameters cell": (
        flow(CELL, "print(1)") + '\n# %% tags=["parameters"]\nbeta = 2\nalpha = 0.3\n\n# %%\nprint(alpha, beta)\n',
        "cell 3 assigns `alpha` anew",
    ),
    "the tag on the imports, then config": (
        flow("import json", 'config = {"alpha": 0.1}', 'print(config["alpha"])'),
        "cell 2 assigns `config` anew",
    ),
    "the tag on the imports, then variables": (
        flow("import json", CELL, "print(alpha)"),
        "to set it from outside, assign alpha there",
    ),
    "after a text": (
        flow(TAKES, 'print("config follows")', 'config = {"alpha": 1}', "print(config['alpha'])"),
        "cell 3",
    ),
    "after the CLI cell": (
        flow(
            TAKES,
            'if not is_notebook_execution():\n    config = load_cli_config("config/a.json")',
            'config = {"alpha": 1}\nprint(config["alpha"])',
        ),
        "cell 3 assigns `config` anew",
    ),
    "unpacked": (flow(CELL, "alpha, beta = 1, 2\nprint(alpha)"), "cell 2 assigns `alpha` anew"),
    "annotated": (flow(CELL, "alpha: float = 1\nprint(alpha)"), "cell 2 assigns `alpha` anew"),
    "imported": (flow(CELL, "from settings import alpha\nprint(alpha)"), "cell 2 assigns `alpha` anew"),
    "a function of that name": (flow(CELL, "def alpha():\n    return 1\n\nprint(alpha())"), "cell 2 assigns `alpha`"),
    "in both branches": (
        flow(CELL, "if today():\n    alpha = 1\nelse:\n    alpha = 2\nprint(alpha)"),
        "cell 2 assigns `alpha` anew",
    ),
    "in try and except": (
        flow(CELL, "try:\n    alpha = f()\nexcept ValueError:\n    alpha = 2\nprint(alpha)"),
        "cell 2 assigns `alpha` anew",
    ),
    "in with": (flow(CELL, "with open('a') as file:\n    alpha = file.read()\nprint(alpha)"), "cell 2 assigns `alpha`"),
    "by with": (flow(CELL, "with open('a') as alpha:\n    print(alpha.read())"), "cell 2 assigns `alpha` anew"),
    "read above only": (
        flow(CELL, "alpha = 2\nprint(alpha)", above="def f(alpha):\n    return alpha\n\nprint(f(1))"),
        "cell 3 assigns `alpha` anew",
    ),
    "in a magic": (flow(CELL, "%%time\nalpha = 2", "print(alpha)"), "cell 2 assigns `alpha` anew"),
    "after a function that is not called": (
        flow(CELL, "def f():\n    return alpha", "alpha = 2\nprint(f())"),
        "cell 3 assigns `alpha` anew",
    ),
}

DOUBTED = {
    "by a loop": (flow(CELL, "for alpha in range(3):\n    print(alpha)"), "cell 2 may assign `alpha` anew"),
    "after an exec": (flow(CELL, "exec(code)", "alpha = 2", "print(alpha)"), "cell 3 may assign `alpha` anew"),
    "after a text that names it": (flow(CELL, "print('alpha')\nalpha = 2\nprint(alpha)"), "cell 2 may assign `alpha`"),
    "after a callback that reads it": (
        flow(CELL, "run()\nalpha = 2\nprint(alpha)", above="@register\ndef f():\n    return alpha"),
        "cell 3 may assign `alpha` anew",
    ),
    "by a loader of another name": (
        flow(TAKES, 'from ductaflow import load_cli_config as load\nconfig = load("a.json")\nprint(config["alpha"])'),
        "cell 2 may assign `config` anew",
    ),
    "computed in the parameters cell": (
        flow("alpha = 0.1\nbeta = alpha * 2", "print(alpha, beta)"),
        "computes `beta` from its own `alpha`",
    ),
    "computed from what is computed": (
        flow("alpha = 0.1\nbeta = alpha * 2\ngamma = beta", "print(alpha, gamma)"),
        "computes `gamma` from its own `alpha`",
    ),
    "computed under a condition": (
        flow("alpha = 0.1\nif alpha > 1:\n    mode = 'fast'", "print(alpha, mode)"),
        "computes `mode` from its own `alpha`",
    ),
    "taken from config in the parameters cell": (
        flow('config = {"alpha": 0.1}\nalpha = config["alpha"]', "print(alpha)"),
        'computes `alpha` from its own `config["alpha"]`',
    ),
    "config unpacked in the parameters cell": (
        flow('config = {"alpha": 0.1}\nsettings = Settings(**config)', "print(settings.alpha)"),
        "computes `settings` from its own `config`",
    ),
    "read nowhere": (flow(CELL, "print(1)"), "nothing below that cell reads it"),
    "a function parameter of the name": (
        flow(CELL, "def f(alpha=0.1):\n    return alpha\n\nf()"),
        "nothing below that",
    ),
    "a variable beside a config that is iterated over": (
        flow("config = {}\nalpha = 0.1", "for key in config:\n    print(key)", "print(alpha)"),
        'write alpha = config["alpha"] below',
    ),
    "a variable beside a config that has the key": (
        flow('config = {"alpha": 0.1}\nalpha = 0.1', "print(alpha)"),
        'write alpha = config["alpha"] below',
    ),
}

FINE = {
    "read at once": flow(CELL, "print(alpha)"),
    "read, then assigned anew": flow(CELL, "print(alpha)", "alpha = 2", "print(alpha)"),
    "converted": flow(CELL, "alpha = float(alpha)", "print(alpha)"),
    "scaled": flow(CELL, "alpha = alpha * 2\nprint(alpha)"),
    "scaled in place": flow(CELL, "alpha *= 2\nprint(alpha)"),
    "a default where there is none": flow("alpha = None", "if alpha is None:\n    alpha = 2\nprint(alpha)"),
    "a default with or": flow("alpha = None", "alpha = alpha or 2\nprint(alpha)"),
    "assigned under a condition": flow(CELL, "if quick:\n    alpha = 2\nprint(alpha)"),
    "asked for with try": flow(CELL, "try:\n    alpha\nexcept NameError:\n    alpha = 2\nprint(alpha)"),
    "a loop variable, after a read": flow(CELL, "print(alpha)\nfor alpha in range(3):\n    print(alpha)"),
    "the variable of a comprehension": flow(CELL, "print([alpha for alpha in range(3)])\nprint(alpha)"),
    "the parameter of a function": flow(CELL, "def f(alpha):\n    return alpha\n\nprint(f(alpha))"),
    "the variable of a function": flow(CELL, "def f():\n    alpha = 2\n    return alpha\n\nprint(f(), alpha)"),
    "read by a function": flow(CELL, "def f():\n    return alpha\n\nprint(f())\nalpha = 2\nprint(alpha)"),
    "read by a function of a function": flow(
        CELL, "def f():\n    return alpha\n\ndef g():\n    return f()\n\nprint(g())\nalpha = 2\nprint(alpha)"
    ),
    "read by a function above": flow(CELL, "print(f())\nalpha = 2\nprint(alpha)", above="def f():\n    return alpha"),
    "read by a class": flow(CELL, "class P:\n    rate = alpha\n\nalpha = 2\nprint(P.rate, alpha)"),
    "read by a lambda": flow(CELL, "f = lambda: alpha\nprint(f())\nalpha = 2\nprint(alpha)"),
    "a function's default": flow(CELL, "def f(x=alpha):\n    return x\n\nalpha = 2\nprint(f(), alpha)"),
    "read by a query": flow(CELL, "frame.query('x > @alpha')\nalpha = 2\nprint(alpha)"),
    "read by a command": flow(CELL, "!echo {alpha}\nalpha = 2\nprint(alpha)"),
    "read by an f-string": flow(CELL, "print(f'{alpha}')\nalpha = 2\nprint(alpha)"),
    "only by a text": flow(CELL, "print('{alpha}'.format(**names))"),
    "only by what is out of sight": flow(CELL, "print(globals()['al' + 'pha'])"),
    "read in a cell that is no Python": flow(CELL, "y <- alpha ! x", "alpha = 2\nprint(alpha)"),
    "imported as a default": flow("from settings import alpha", "print(alpha)"),
    "read by nothing but free": flow("# none", "print(alpha)"),
    "an element": flow("alpha = None", "alpha['x'] = 1\nprint(alpha)"),
    "config from its file": flow(
        TAKES, 'with open("config.json") as file:\n    config = json.load(file)\nprint(config["alpha"])'
    ),
    "in a function that is called": flow(
        CELL, "def main():\n    print(alpha)\n\nif __name__ == '__main__':\n    main()"
    ),
    "declared": flow(CELL, "alpha: float\nprint(alpha)"),
    "config": flow(TAKES, 'print(config["alpha"])'),
    "config on top of defaults": flow(TAKES, 'config = {"alpha": 1, **config}\nprint(config["alpha"])'),
    "config, then its own": flow(TAKES, 'alpha = config["alpha"]', "config = {}\nprint(config, alpha)"),
    "config with a default": flow(TAKES, 'config = config or {"alpha": 2}\nprint(config["alpha"])'),
    "config, where there is none": flow(TAKES, 'if not config:\n    config = {"alpha": 2}\nprint(config["alpha"])'),
    "config from the command line": flow(TAKES, 'config = load_cli_config("a.json")\nprint(config["alpha"])'),
    "a variable taken from config": flow(
        "config = {}\nalpha = 0.1", 'alpha = config.get("alpha", alpha)\nprint(alpha)'
    ),
    "variables made of config": flow("config = {}\nalpha = 0.1", "globals().update(config)\nprint(alpha)"),
    "config made of a variable": flow("alpha = 0.1\nconfig = dict(alpha=alpha)", 'print(config["alpha"])'),
    "computed in both cells": flow("alpha = 0.1\nbeta = alpha * 2", "beta = alpha * 2\nprint(beta)"),
    "a function in the parameters cell": flow("alpha = 0.1\ndef f():\n    return alpha", "print(f())"),
}


@pytest.mark.parametrize("case", LOST)
def test_a_value_that_is_lost_is_refused(case: str, tmp_path: Path) -> None:
    """What surely replaces a value before anything reads it is an error that names the cell."""
    text, why = LOST[case]
    ((certain, line),) = told(text, tmp_path, alpha=0.7)
    assert certain, line
    assert why in line


@pytest.mark.parametrize("case", DOUBTED)
def test_a_value_that_may_be_lost_is_a_warning(case: str, tmp_path: Path) -> None:
    """Where it is not certain that nothing of the value arrives, the rows run, with one line."""
    text, why = DOUBTED[case]
    ((certain, line),) = told(text, tmp_path, alpha=0.7)
    assert not certain, line
    assert why in line


@pytest.mark.parametrize("case", FINE)
def test_a_value_that_arrives_is_not_spoken_of(case: str, tmp_path: Path) -> None:
    """A flow that reads what it is given may do with the name what it likes."""
    assert told(FINE[case], tmp_path, alpha=0.7) == []


def test_what_is_given_itself_need_not_be_computed(tmp_path: Path) -> None:
    """A row that gives both what the parameters cell computes and what it computes it from is right."""
    text = flow("alpha = 0.1\nbeta = alpha * 2", "print(alpha, beta)")
    assert told(text, tmp_path, alpha=0.7, beta=1.4) == []


def test_a_cell_that_may_not_run_replaces_nothing() -> None:
    """What a skipped cell assigns, and one that may end with an error, does not count."""
    cells = [
        CodeCell(code, ast.parse(code), number == 0, number != 1) for number, code in enumerate([CELL, "alpha = 2"])
    ]
    assert analyse_keys([*cells, CodeCell("print(alpha)", ast.parse("print(alpha)"))]).arrival == Arrival()


def test_below_a_text_cell_counts_what_is_below_it() -> None:
    """Where the tag stands on a text cell, the number of code cells above it says where values are put in."""
    cells = [CodeCell(code, ast.parse(code)) for code in ('config = {"alpha": 1}', 'print(config["alpha"])')]
    assert analyse_keys(cells, place=0).arrival.replaced == (("config", "cell 1"),)
    assert analyse_keys(cells, place=1).arrival == Arrival()


def test_a_module_may_hand_over_what_is_given(tmp_path: Path) -> None:
    """Where the project's own module reads the instance's config file, nothing is certain."""
    (tmp_path / "settings.py").write_text("import json\n\ndef read():\n    return json.load(open('config.json'))\n")
    text = flow(TAKES, 'import settings\nconfig = settings.read()\nprint(config["alpha"])')
    ((certain, _),) = told(text, tmp_path, alpha=0.7)
    assert not certain


def test_nothing_given_is_nothing_lost(tmp_path: Path) -> None:
    """A flow that is run with its own values, or with the name of its row alone, has none that could not arrive."""
    for text, _ in [*LOST.values(), *DOUBTED.values()]:
        assert told(text, tmp_path) == []
        assert told(text, tmp_path, instance_name="a") == []


def test_the_project_decides_about_values_that_do_not_arrive(tmp_path: Path) -> None:
    """The setting for keys that nobody reads is the one for values that do not arrive."""
    keys = keys_of(flow(CELL, "alpha = 0.2\nprint(alpha)"))
    for unknown_keys, certain in (("error", [True]), ("warn", [False]), ("ignore", [])):
        expected = Expected(tmp_path / "step.py", tmp_path, keys, {}, {}, unknown_keys)
        assert [finding.certain for finding in examine(expected, {"alpha": 0.7})] == certain

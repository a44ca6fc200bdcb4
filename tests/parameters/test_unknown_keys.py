"""A key that the flow cannot read is refused, or warned of where the code hides what it reads; never just taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parameters.flows import body, problems

SIMPLE = body(
    """
    network = config["network"]
    toll = config.get("toll", 0.0)
    steps = config["assignment"]["max_iterations"]
    if "verbose" in config:
        print(network, toll, steps)
    """
)
GIVEN: dict[str, object] = {"network": "a", "toll": 1, "assignment": {"max_iterations": 5}, "verbose": True}
PAPERMILL = """\
# %% tags=["parameters"]
alpha = 0.1  # type: float  learning rate
n_steps: int = 10
options = {"seed": 1}

# %%
tol = 1e-3
result = alpha * n_steps + tol + options["seed"]
"""

# What is written in the flow, the key that is given, and what should be suggested.
REFUSED = {
    "a letter left out": (SIMPLE, {"tol": 1}, "toll"),
    "a letter too many": (SIMPLE, {"tolll": 1}, "toll"),
    "letters swapped": (SIMPLE, {"netwrok": "b"}, "network"),
    "another case": (SIMPLE, {"Network": "b"}, "network"),
    "all capitals": (SIMPLE, {"TOLL": 1}, "toll"),
    "an underscore": (SIMPLE, {"net_work": "b"}, "network"),
    "a space at the end": (SIMPLE, {"toll ": 1}, "toll"),
    "plural": (SIMPLE, {"tolls": 1}, "toll"),
    "a key asked for with in": (SIMPLE, {"verbosity": 1, "verbos": True}, "verbose"),
    "something else": (SIMPLE, {"capacity": 1}, None),
    "in another language": (SIMPLE, {"Maut": 1}, None),
    "below an object": (SIMPLE, {"assignment": {"max_iteration": 5}}, "assignment.max_iterations"),
    "below an object, other case": (SIMPLE, {"assignment": {"maxIterations": 5}}, "assignment.max_iterations"),
    "one object too deep": (SIMPLE, {"settings": {"toll": 1}}, None),
    "another object's name": (SIMPLE, {"solver": {"max_iterations": 5}}, None),
    "a dotted name that was not nested": (SIMPLE, {"assignment.max_iterations": 5}, None),
    "only in markdown": (
        body('x = config["x"]\n\n# %% [markdown]\n# The `price` of a trip\n\n# %%\nprint(x)\n'),
        {"price": 1},
        None,
    ),
    "only in a comment": (body('x = config["x"]  # config["price"] is no more\n'), {"price": 1}, None),
    "only in a docstring": (
        body('def f():\n    """price"""\n\nx = config["x"]\n'),
        {"price": 1},
        None,
    ),
    "only in a text that nothing uses": (body('"price"\nx = config["x"]\n'), {"price": 1}, None),
    "only in a piece of an f-string": (body('x = config["x"]\nprint(f"price{x}")\n'), {"price": 1}, None),
    "in a flow that reads nothing": (body("print(1)\n"), {"toll": 1}, None),
    "papermill: misspelt": (PAPERMILL, {"alhpa": 0.7}, "alpha"),
    "papermill: other case": (PAPERMILL, {"Alpha": 0.7}, "alpha"),
    "papermill: underscore": (PAPERMILL, {"nsteps": 5}, "n_steps"),
    "papermill: assigned below the parameters cell": (PAPERMILL, {"tol": 0.1}, None),
    "papermill: a result's name": (PAPERMILL, {"result": 0.1}, None),
    "papermill: given as config": (PAPERMILL, {"config": {"alpha": 0.7}}, None),
    "papermill: below an object": (PAPERMILL, {"options": {"sed": 2}}, "options.seed"),
    "papermill: a name of the help comment": (PAPERMILL, {"learning": 2}, None),
    "a variable beside config": (
        '# %% tags=["parameters"]\nconfig = {}\nalpha = 0.1\n\n# %%\nprint(alpha, config["beta"])\n',
        {"alpha": 0.7},
        None,
    ),
    "beside a loop over another object": (body('for k in config["a"]:\n    print(k)\n'), {"b": 1}, None),
    "through an alias": (body('c = config\nx = c["toll"]\n'), {"tol": 1}, "toll"),
    "through a copy": (body('import copy\nc = copy.deepcopy(config)\nx = c["toll"]\n'), {"tol": 1}, "toll"),
    "through a merge": (body('c = {"a": 1} | config\nx = c["toll"]\n'), {"tol": 1}, "toll"),
    "through a function of the flow": (
        body('def build(settings):\n    return settings["toll"]\n\nx = build(config)\n'),
        {"tol": 1},
        "toll",
    ),
    "shown, and not read": (body('print(f"{config}")\nimport json\nprint(json.dumps(config))\n'), {"tol": 1}, None),
}
WARNED = {
    "in a loop": (body('for key, value in config.items():\n    print("toll", value)\n'), {"tol": 1}, None),
    "unpacked": (body("def f(toll):\n    return toll\n\nf(**config)\n"), {"tolll": 1}, None),
    "passed on": (body('import lib\nlib.f(config)\nprint(config["toll"])\n'), {"tol": 1}, "toll"),
    "in the code, in another place": (
        body('x = config["x"]\nprice = table["price"] if x else None\n'),
        {"price": 1},
        None,
    ),
    "in the wrong object": (SIMPLE, {"max_iterations": 5}, "assignment.max_iterations"),
    "a section of another step": (SIMPLE, {"report": {"title": "A", "pages": {"first": 1}}}, None),
    "below an object that is passed on": (body('model(**config["model"])\n'), {"model": {"dept": 3}}, None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_unknown_key_is_refused(case: str, tmp_path: Path) -> None:
    """A key that the code cannot read is an error that names the nearest key that it can."""
    text, given, suggestion = REFUSED[case]
    found = problems(text, given, tmp_path)
    assert found, "taken in silence"
    assert found[-1].certain
    assert found[-1].suggestion == suggestion


@pytest.mark.parametrize("case", WARNED)
def test_a_key_that_may_be_read_is_warned_of(case: str, tmp_path: Path) -> None:
    """Where the code hides what it reads, a key that it does not name is a warning with the reason."""
    text, given, suggestion = WARNED[case]
    found = problems(text, given, tmp_path)
    assert [problem.certain for problem in found] == [False]
    assert suggestion is None or found[0].suggestion == suggestion


def test_what_is_right_is_not_spoken_of(tmp_path: Path) -> None:
    """The keys that the flow reads, and the row's own name, pass."""
    assert problems(SIMPLE, GIVEN | {"instance_name": "a"}, tmp_path) == []


def test_the_message_says_what_where_and_what_was_meant(tmp_path: Path) -> None:
    """A person who reads one line knows what to correct."""
    lines = [problem.message for problem in problems(SIMPLE, {"tol": 1, "capacity": 2}, tmp_path)]
    assert lines == [
        "unknown parameter `tol`; did you mean `toll`?",
        "unknown parameter `capacity`. Nothing in the flow reads it; it reads `assignment`, `network`, `toll`, "
        "`verbose`.",
    ]
    text = body('for key in config:\n    print(key)\n\nprint(config["toll"])\n')
    (problem,) = problems(text, {"tol": 1}, tmp_path)
    assert problem.message == (
        "unknown parameter `tol`; did you mean `toll`? The flow may use it all the same: cell 4 iterates over config."
    )


def test_a_key_in_an_object_is_named_whole(tmp_path: Path) -> None:
    """As it was given, such as in the name of a column, and what was meant likewise."""
    given = [
        {"asignment": {"max_iterations": 5}},
        {"settings": {"toll": 1}},
        {"settings": {"toll": 1, "more": {"x": 1, "y": 2, "z": 3}}},
    ]
    told = [problems(SIMPLE, each, tmp_path)[0].message.partition(". Nothing")[0] for each in given]
    assert told == [
        "unknown parameter `asignment.max_iterations`; did you mean `assignment.max_iterations`?",
        "unknown parameter `settings.toll`",
        "unknown parameter `settings.toll`, `settings.more.x`, `settings.more.y` and 1 more",
    ]


def test_a_variable_beside_config_is_told_apart(tmp_path: Path) -> None:
    """The notebook that computed with its default under a green light gets told how to be given its parameter."""
    text, given, _ = REFUSED["a variable beside config"]
    (problem,) = problems(text, given, tmp_path)
    assert 'alpha = config["alpha"]' in problem.message


def test_a_name_that_is_assigned_later_cannot_be_set(tmp_path: Path) -> None:
    """What papermill injects above an assignment is overwritten, so it is refused, with the place where it belongs."""
    (problem,) = problems(PAPERMILL, {"tol": 0.5}, tmp_path)
    assert problem.certain
    assert "parameters cell" in problem.message

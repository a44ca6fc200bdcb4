"""Keys that a flow does read, in ways that are hard to see, are never refused."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.parameters.flows import body, problems

TOLL: dict[str, object] = {"toll": 1}

# The code of a flow, and a config all of which it can use; some are known outright, others hidden by the code.
QUIET = {
    "get": ('x = config.get("toll", 0)', TOLL),
    "pop": ('x = config.pop("toll")', TOLL),
    "setdefault": ('config.setdefault("toll", 0)', TOLL),
    "in": ('x = 1 if "toll" in config else 2', TOLL),
    "a walrus": ('if (c := config) and (t := c.get("toll")):\n    print(t)', TOLL),
    "a merge of defaults": ('config = {"toll": 0} | config\nprint(config["toll"])', TOLL),
    "defaults unpacked": ('config = {"toll": 0, **config}\nprint(config["toll"])', TOLL),
    "itemgetter": ('from operator import itemgetter\nx = itemgetter("toll")(config)', TOLL),
    "a name taken from a constant": ('KEY = "toll"\nx = config[KEY]', TOLL),
    "a loop over names": ('for name in ("toll", "fare"):\n    print(config[name])', {"toll": 1, "fare": 2}),
    "a comprehension over names": ('p = {k: config[k] for k in ["toll"]}', TOLL),
    "a dataclass": (
        "from dataclasses import dataclass\n\n@dataclass\nclass P:\n    toll: float = 0\n\np = P(**config)",
        TOLL,
    ),
    "pydantic": (
        "from pydantic import BaseModel\n\nclass P(BaseModel):\n    toll: float\n\np = P.model_validate(config)",
        TOLL,
    ),
    "pydantic, with an alias": (
        "import pydantic as p\n\nclass P(p.BaseModel):\n    t: float = p.Field(alias='toll price')\n\nP(**config)",
        {"toll price": 1},
    ),
    "a typed dict": (
        'from typing import TypedDict\n\nclass P(TypedDict):\n    toll: float\n\np: P = config\nprint(p["toll"])',
        TOLL,
    ),
    "a simple namespace": ("from types import SimpleNamespace\np = SimpleNamespace(**config)\nprint(p.toll)", TOLL),
    "munch": ("from munch import Munch\np = Munch(config)\nprint(p.toll)", TOLL),
    "an enum": (
        'from enum import Enum\n\nclass Key(Enum):\n    TOLL = "toll"\n\nprint(config[Key.TOLL.value])',
        TOLL,
    ),
    "match": ('match config:\n    case {"toll": t, **rest}:\n        print(t, rest)', TOLL),
    "match on a part": (
        'match config["mode"]:\n    case {"kind": "fast"}:\n        print(1)',
        {"mode": {"kind": "fast"}},
    ),
    "json_normalize": (
        'import pandas as pd\nf = pd.json_normalize(config)\nprint(f["model.depth"])',
        {"model": {"depth": 1}},
    ),
    "a helper's keyword": ("def f(*, toll=0):\n    return toll\n\nf(**config)", TOLL),
    "a function in the flow": ('def f(c):\n    g(c)\n\ndef g(c):\n    print(c["toll"])\n\nf(config)', TOLL),
    "a nested function": ('def f():\n    def g():\n        return config["toll"]\n    return g()\n\nf()', TOLL),
    "what a function returns": ('def f():\n    return config["model"]\n\nprint(f()["depth"])', {"model": {"depth": 1}}),
    "an await": ('async def f(c):\n    return c["toll"]\n\nx = await f(config)', TOLL),
    "a magic": ('%time x = config["toll"]', TOLL),
    "a cell magic": ('%%capture out\nx = config["toll"]', TOLL),
    "a command": ('!echo {config["toll"]}', TOLL),
    "a lambda": ('f = lambda c: c["toll"]\nf(config)', TOLL),
    "a ternary": ('c = config if True else {}\nx = c["toll"]', TOLL),
    "two at once": ('a, b = config["toll"], config["model"]\nprint(b["depth"])', {"toll": 1, "model": {"depth": 2}}),
    "a tuple of keys": ('a, b = map(config.get, ("toll", "fare"))', {"toll": 1, "fare": 2}),
    "unicode": ('x = config["größe"]', {"größe": 1}),
    "with a space": ('x = config["toll price"]', {"toll price": 1}),
    "names as in R": ('x = config["learning.rate"]', {"learning.rate": 1}),
    "a chain of gets": ('x = config.get("model", {}).get("depth")', {"model": {"depth": 3}}),
    "or an empty object": ('m = config.get("model") or {}\nx = m["depth"]', {"model": {"depth": 3}}),
    "through JSON": ('import json\nc = json.loads(json.dumps(config))\nx = c["toll"]', TOLL),
    "variables from it": ("vars().update(config)\nprint(toll)", TOLL),
    "a class that keeps it": (
        "class M:\n    def __init__(self, c):\n        self.c = c\n    def f(self):\n        self.c['toll']\nM(config)",
        TOLL,
    ),
    "a method that returns it": ("class M:\n    def c(self):\n        return config\n\nprint(M().c()['toll'])", TOLL),
    "a default of a parameter": ('def f(c=config):\n    return c["toll"]\n\nf()', TOLL),
    "a global statement": (
        'def f():\n    global config\n    config = dict(config, toll=2)\n\nf()\nprint(config["toll"])',
        TOLL,
    ),
    "an exec": ('exec("print(config[\'toll\'])")\nprint("toll")', TOLL),
}
HANDED_ON = "\n".join(["print(*c0)", *(f"c{n} = c{n + 1}" for n in range(40)), "c40 = config"])
# Here the code names the key nowhere: at most a warning.
LENIENT = {
    "iterated over": ("for k, v in config.items():\n    print(k, v)", TOLL),
    "unpacked into a call": ("import lib\nlib.run(**config)", TOLL),
    "a key made of pieces": ('for n in (1, 2):\n    print(config[f"toll_{n}"])', {"toll_1": 1, "toll_2": 2}),
    "a file of keys": ('import json\nfor k in json.load(open("keys.json")):\n    print(config[k])', TOLL),
    "its own config.json": ('import json\nc = json.load(open("config.json"))\nfor k in c:\n    print(k)', TOLL),
    "another program reads it": ('from pathlib import Path\nPath("p.json").write_text(str(config))', TOLL),
    "kept in a list": ("runs = [config]\nprint(runs[0].keys())", TOLL),
    "a frame of it": ("import pandas as pd\nprint(pd.DataFrame([config]))", TOLL),
    "a part that is passed on": ('import lib\nlib.model(config["model"])', {"model": {"depth": 3}}),
    "a part that is walked down": (
        'def walk(n):\n    for k in n:\n        walk(n[k])\n\nwalk(config["tree"])',
        {"tree": {"a": {"b": 1}}},
    ),
    "printed to a file": ('with open("p.txt", "w") as f:\n    print(config, file=f)', TOLL),
    "another print": ("from lib import print\nprint(config)", TOLL),
    "a cell in another language": ("%%bash\ncat config.json", TOLL),
    "a keyword of dict": ('c = dict(all=config)\nfor k in c["all"]:\n    print(k)', TOLL),
    "a decorated function": ("@cache\ndef f(c):\n    return 1\n\nf(config)", TOLL),
    "a sum of very many": ("x = " + " + ".join(["config[k]"] * 400), TOLL),
    "handed on and on": (HANDED_ON, TOLL),
    "a loader of another name": ("from ductaflow import load_cli_config as load\nprint(*load('c.json'))", TOLL),
    "globals": ("g = globals()['con' + 'fig']\nprint(list(g))", TOLL),
}


@pytest.mark.parametrize("case", QUIET)
def test_a_hard_key_is_known(case: str, tmp_path: Path) -> None:
    """A key that the code names, however it gets at the value, is not spoken of."""
    code, given = QUIET[case]
    assert problems(body("") + code + "\n", given, tmp_path) == []


@pytest.mark.parametrize("case", LENIENT)
def test_a_hidden_key_is_not_refused(case: str, tmp_path: Path) -> None:
    """A key that the code may read without naming it is a warning."""
    code, given = LENIENT[case]
    found = problems(body("") + code + "\n", given, tmp_path)
    assert found
    assert not any(problem.certain for problem in found)
    assert all("cell " in problem.why for problem in found)


def write(root: Path, name: str, text: str) -> None:
    """A module of the project."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def test_a_key_that_a_helper_module_reads_is_known(tmp_path: Path) -> None:
    """Names in the project's modules count, also in those that they import in turn, in packages and beside the flow."""
    write(tmp_path, "lib/__init__.py", "")
    write(tmp_path, "lib/costs.py", "from . import deep\n\ndef run(c):\n    return c['toll'], deep.run(c)\n")
    write(tmp_path, "lib/deep.py", "from .deeper import fare as run\n")
    write(tmp_path, "lib/deeper.py", "def fare(c):\n    return c['fare']\n")
    write(tmp_path, "flow/beside.py", "import dataclasses\n\n@dataclasses.dataclass\nclass P:\n    depth: int\n")
    code = "from lib.costs import run\nfrom beside import P\nrun(config)\nP(**config)\n"
    given: dict[str, object] = {"toll": 1, "fare": 2, "depth": 3}
    assert problems(body(code), given, tmp_path) == []
    (problem,) = problems(body(code), {"tol": 1}, tmp_path)
    assert (problem.certain, problem.suggestion) == (False, "toll")


def test_a_module_that_reads_the_config_file_hides_what_it_reads(tmp_path: Path) -> None:
    """A module that opens `config.json` by itself may read any key."""
    write(tmp_path, "settings.py", "import json\nKEYS = json.load(open('config.json'))\n")
    (problem,) = problems(body("import settings\n"), {"toll": 1}, tmp_path)
    assert not problem.certain
    assert "settings.py" in problem.why


def test_the_names_of_a_module_with_an_error_are_not_taken_for_none(tmp_path: Path) -> None:
    """A module that cannot be read makes keys undecided, and the message names it."""
    write(tmp_path, "broken.py", "def (\n")
    (problem,) = problems(body("import broken\n"), {"toll": 1}, tmp_path)
    assert not problem.certain
    assert "broken.py" in problem.why


def test_everything_imported_from_a_module_is_undecided(tmp_path: Path) -> None:
    """Names that come from `import *` of a project's module may be anything; those of a library are not looked at."""
    write(tmp_path, "tools.py", "def toll(c):\n    return c\n")
    assert not problems(body("from tools import *\n"), {"fare": 1}, tmp_path)[0].certain
    assert problems(body("from numpy import *\n"), {"fare": 1}, tmp_path)[0].certain


def test_default_and_base_config_make_keys_known(tmp_path: Path) -> None:
    """What the default config or `base_config` has may be set by a row, at the same place."""
    known: dict[str, object] = {"toll": 1, "model": {"depth": 2}}
    assert problems(body("print(1)"), {"toll": 2, "model": {"depth": 3}}, tmp_path, known) == []
    (problem,) = problems(body("print(1)"), {"model": {"dept": 3}}, tmp_path, known)
    assert (problem.key, problem.suggestion, problem.certain) == ("model.dept", "model.depth", True)


def test_a_config_with_values_in_the_parameters_cell_names_its_keys(tmp_path: Path) -> None:
    """The defaults of a flow that writes its config out are known keys."""
    text = '# %% tags=["parameters"]\nconfig = {"toll": 1, "model": dict(depth=2)}\n\n# %%\nprint(1)\n'
    assert problems(text, {"toll": 2}, tmp_path) == []
    text = '# %% tags=["parameters"]\nconfig: dict = dict(toll=1)\n\n# %%\nprint(1)\n'
    assert problems(text, {"toll": 2}, tmp_path) == []


def test_an_object_for_a_variable_that_nothing_reads(tmp_path: Path) -> None:
    """Notebooks declare what their runner hands them, and need not use it; nothing in it is misspelt then."""
    declared = '# %% tags=["parameters"]\nproduct = None\nn = 1\n\n# %%\nprint(n)\n'
    assert problems(declared, {"product": {"nb": "a.html", "data": {"to": "d.csv"}}}, tmp_path) == []


@pytest.mark.parametrize("default", ["None", "{'nb': 1}"])
def test_an_object_for_a_variable_whose_keys_are_known(tmp_path: Path, default: str) -> None:
    """Where the code reads a key of it, or the default has some, another key is found."""
    read = "" if default != "None" else 'print(product["nb"])\n'
    text = f'# %% tags=["parameters"]\nproduct = {default}\n\n# %%\n{read}print(1)\n'
    (problem,) = problems(text, {"product": {"nbb": "a.html"}}, tmp_path)
    assert (problem.key, problem.suggestion) == ("product.nbb", "product.nb")

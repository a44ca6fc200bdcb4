"""Changes of flows and local modules: which instances execute, and the reason given."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.staleness.cases import COSTS, OF_COST, Case, check, each, parameters
from tests.staleness.sample import Sample

FLOW = "flow/cost.py"
BROKEN = "failed; module deleted: lib/rates.py"


def edit(name: str, old: str, new: str) -> Callable[[Sample], None]:
    return lambda sample: sample.edit(name, old, new)


def touch(*names: str) -> Callable[[Sample], None]:
    def change(sample: Sample) -> None:
        for name in names:
            os.utime(sample.root / name)

    return change


def move_flow(sample: Sample) -> None:
    (sample.root / FLOW).rename(sample.root / "flow/price.py")
    sample.flows["cost"] = sample.flows["second"] = "price"


def helper_deleted(sample: Sample) -> None:
    (sample.root / "lib/rates.py").unlink()


def helper_inlined(sample: Sample) -> None:
    helper_deleted(sample)
    sample.edit("lib/costs.py", "from lib.rates import RATE", "RATE = 2")


def new_modules(sample: Sample) -> None:
    sample.write("lib/more.py", "Y = 1\n")
    sample.write("flow/other.py", "Y = 1\n")


def edit_and_undo(sample: Sample) -> None:
    sample.edit(FLOW, "total = cost", "total = 2 * cost")
    sample.plan("cost")
    sample.edit(FLOW, "total = 2 * cost", "total = cost")


SPLIT = ("save_results(total=float(total))\n", "\n# %%\nsave_results(total=float(total))\n")
NEW_CELL = "# %%\nprint('new')\n\n# %% tags=[\"cost\"]"
SAME_TEXT = {"sum/a": "input: runs/cost/a/cost.csv", "sum/b": "input: runs/cost/b/cost.csv"}

CASES = [
    Case("code", edit(FLOW, "round(total)", "round(total, 0)"), each(OF_COST, "code: cell 5")),
    Case("comment", edit(FLOW, "# The links", "# All links"), refreshed=OF_COST),
    Case("comment added", edit(FLOW, "total = cost", "# why\ntotal = cost"), refreshed=OF_COST),
    Case("blank lines", edit(FLOW, "import pandas", "\n\nimport pandas"), refreshed=OF_COST),
    Case("spacing and quotes", edit(FLOW, 'config["links"]', "config[ 'links' ]"), refreshed=OF_COST),
    Case("markdown", edit(FLOW, "# # What a link", "# # What each link"), refreshed=OF_COST),
    Case(
        "markdown cell added",
        edit(FLOW, '# %% tags=["cost"]', '# %% [markdown]\n# Sum\n\n# %% tags=["cost"]'),
        refreshed=OF_COST,
    ),
    Case("tag", edit(FLOW, 'tags=["cost"]', 'tags=["cost", "slides"]'), refreshed=OF_COST),
    Case("title of a cell", edit(FLOW, '# %% tags=["cost"]', '# %% The sum tags=["cost"]')),
    Case(
        "tag with a meaning",
        edit(FLOW, 'tags=["cost"]', 'tags=["cost", "raises-exception"]'),
        each(OF_COST, "code: cell 4"),
    ),
    Case("cell split", edit(FLOW, *SPLIT), each(OF_COST, "code: cell 4, cell 5 added")),
    Case("cell added", edit(FLOW, '# %% tags=["cost"]', NEW_CELL), each(OF_COST, "code: cell 4 added")),
    Case(
        "two cells",
        edit(FLOW, "import pandas as pd\n", "import pandas as pd, json\n"),
        each(OF_COST, "code: cell 3"),
    ),
    Case("edited and undone", edit_and_undo),
    Case("flow touched", touch(FLOW, "flow/sum.py")),
    Case("flow renamed", move_flow, each(OF_COST, "flow: flow/cost.py -> flow/price.py")),
    Case(
        "local module",
        edit("lib/costs.py", "+ b", "+ b + 1"),
        each(OF_COST, "module: lib/costs.py") | SAME_TEXT,
    ),
    Case(
        "local module to the same results",
        edit("lib/costs.py", "l * RATE", "RATE * l"),
        each(OF_COST, "module: lib/costs.py"),
    ),
    Case(
        "indirect local module",
        edit("lib/rates.py", "2", "3"),
        each(OF_COST, "module: lib/rates.py") | SAME_TEXT,
    ),
    Case("unrelated module", edit("lib/unused.py", "1", "2")),
    Case("modules added", new_modules),
    Case("modules touched", touch("lib/costs.py", "lib/rates.py", "lib/__init__.py")),
    Case(
        "helper deleted and not needed",
        helper_inlined,
        each(OF_COST, "module: lib/costs.py; module deleted: lib/rates.py"),
    ),
    Case(
        "code and module",
        lambda sample: (
            sample.edit(FLOW, "float(total)", "float(total) + 0"),
            sample.edit("lib/rates.py", "2", "2.0"),
        ),
        each(OF_COST, "code: cell 4; module: lib/rates.py"),
    ),
]


@pytest.mark.parametrize("case", parameters(CASES))
def test_code(sample: Sample, case: Case) -> None:
    """Code that means something else executes the instances that use it; comments and layout do not."""
    check(sample, case)


@pytest.mark.engines("fork", "spawn")
def test_a_helper_that_is_still_needed(sample: Sample) -> None:
    """A deleted helper executes its users, which then fail; put back, they run again and are well."""
    text = (sample.root / "lib/rates.py").read_text()
    helper_deleted(sample)
    assert sample.plan("cost") == each(COSTS, "module deleted: lib/rates.py")
    frame = sample.run("cost")
    assert set(frame["status"]) == {"failed"}
    assert set(frame["error"]) == {"ModuleNotFoundError: No module named 'lib.rates' (cell 3)"}
    assert sample.plan("cost") == each(COSTS, "failed")
    sample.write("lib/rates.py", text)
    assert set(sample.run("cost")["status"]) == {"done"}
    assert sample.plan("cost") == {}

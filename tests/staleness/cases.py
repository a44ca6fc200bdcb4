"""The shape of a case: a change, and what executes because of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from tests.staleness.sample import Sample

COSTS = ("cost/a", "cost/b", "cost/c")
OF_COST = (*COSTS, "second/a")
BACK = re.compile(r"result of \d{4}-\d\d-\d\d \d\d:\d\d brought back: same config, code, inputs and packages$")


@dataclass(frozen=True)
class Case:
    """`runs`: instance -> reason, exactly; `refreshed`: not executed, text renewed; `later`: stale even then.

    `back`: not executed, for an earlier result fits.
    """

    name: str
    change: Callable[[Sample], object]
    runs: dict[str, str] = field(default_factory=dict)
    refreshed: tuple[str, ...] = ()
    later: dict[str, str] = field(default_factory=dict)
    back: tuple[str, ...] = ()


def each(instances: Iterable[str], reason: str) -> dict[str, str]:
    """The same reason for several instances."""
    return dict.fromkeys(instances, reason)


def parameters(cases: list[Case]) -> list[object]:
    """Cases as pytest wants them, named."""
    return [pytest.param(case, id=case.name.replace(" ", "-")) for case in cases]


def check(sample: Sample, case: Case) -> None:
    """Change, plan and run step by step; the plan, the run and the records must all tell the same."""
    case.change(sample)
    before = sample.starts()
    planned: dict[str, str] = {}
    told: dict[str, str] = {}
    outcomes: dict[str, str] = {}
    for step in sample.rows:
        planned |= sample.plan(step)
        frame = sample.run(step)
        rows = frame[["instance_name", "reason", "status"]].itertuples(index=False)
        for name, reason, status in rows:
            outcomes[f"{step}/{name}"] = status
            if reason is not None:
                told[f"{step}/{name}"] = reason
    after = sample.starts()
    executed = {name for name, started in after.items() if started != before.get(name)}
    assert {name for name, reason in planned.items() if BACK.match(reason)} == set(case.back)
    assert planned == told
    for name in case.back:
        assert (outcomes[name], after[name] < before[name]) == ("up to date", True)
        del planned[name], told[name]
        executed.remove(name)
    assert planned == case.runs
    assert executed == set(case.runs)
    assert {name for name, status in outcomes.items() if status == "refreshed"} == set(case.refreshed)
    left = {name: why for step in sample.rows for name, why in sample.plan(step).items()}
    assert left == case.later

"""Every engine records the same, so that the reasons which the other tests prove on one of them hold on all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.staleness.cases import OF_COST, Case, check, each
from tests.staleness.sample import Sample, write_data


def fingerprints(root: Path) -> dict[str, Any]:
    """What each instance's record says that it depends on, but for the times of files; and what it wrote."""
    found = {}
    for path in root.glob("runs/*/*/run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        for part in ("modules", "inputs"):
            for recorded in record["fingerprint"][part].values():
                recorded.pop("mtime_ns", None)
        found[f"{path.parts[-3]}/{path.parts[-2]}"] = record["fingerprint"] | {"outputs": sorted(record["outputs"])}
    return found


@pytest.mark.engines("spawn", "kernel")
def test_every_engine_records_the_same(built_on: Callable[[str], Path], engine: str) -> None:
    """Config, code, modules, inputs, packages and outputs of an instance do not depend on what executed it."""
    expected, got = fingerprints(built_on("fork")), fingerprints(built_on(engine))
    if engine == "kernel":  # it has a name of its own
        for recorded in (*expected.values(), *got.values()):
            del recorded["kernel"]
    assert got == expected


def change_all(sample: Sample) -> None:
    sample.row("cost", "b")["year"] = 2021
    sample.edit("lib/rates.py", "2", "3")
    sample.edit("flow/sum.py", "write_text(text)", "write_text(text + text)")
    for name in ("literal.parquet", "sqlite_computed.sqlite", "zones/three.csv"):
        write_data(sample.root / "data" / name, [7, 5])


ALL = Case(
    "a change of each kind",
    change_all,
    each(OF_COST, "module: lib/rates.py")
    | {
        "cost/b": "config: year 2020 -> 2021; module: lib/rates.py",
        "sum/a": "code: cell 3; input: runs/cost/a/cost.csv",
        "sum/b": "code: cell 3; input: runs/cost/b/cost.csv",
        "literal/all": "input: data/literal.parquet",
        "read/sqlite_computed": "input: data/sqlite_computed.sqlite",
        "folder/all": "input: data/zones/ (its list of files)",
    },
)


@pytest.mark.engines("fork", "spawn", "kernel")
def test_what_changed_executes_again(sample: Sample) -> None:
    """A change of each kind executes the instances that it concerns, and they are up to date then."""
    check(sample, ALL)

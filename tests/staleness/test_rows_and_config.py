"""Changes of rows and of config values: which instances execute, and the reason given."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from ductaflow_runtime.staleness.value_changes import value_changes
from tests.staleness.cases import COSTS, Case, check, each, parameters
from tests.staleness.sample import Sample, write_data


def add_row(sample: Sample) -> None:
    sample.rows["cost"].append(sample.row("cost", "b") | {"instance_name": "d"})


def drop_row(sample: Sample) -> None:
    sample.rows["cost"].pop(1)


def reorder(sample: Sample) -> None:
    for rows in sample.rows.values():
        rows.reverse()


def rename_row(sample: Sample) -> None:
    sample.row("cost", "b")["instance_name"] = "renamed"


def swap_names(sample: Sample) -> None:
    first, second = sample.row("cost", "a"), sample.row("cost", "c")
    first["instance_name"], second["instance_name"] = "c", "a"


def column(name: str, value: object, *rows: str) -> object:
    """Give rows of the step `cost` another value, each in its own type."""

    def change(sample: Sample) -> None:
        for row in rows or ("a", "b", "c"):
            sample.row("cost", row)[name] = value
        sample.rows["cost"] = pd.DataFrame(sample.rows["cost"], dtype=object)  # type: ignore[assignment]

    return change


def one_float_in_a_column(sample: Sample) -> None:
    sample.row("cost", "a")["year"] = 2020.0


def key_order(sample: Sample) -> None:
    sample.rows["cost"] = [dict(reversed(row.items())) for row in sample.rows["cost"]]


def drop_column(sample: Sample) -> None:
    for row in sample.rows["cost"]:
        del row["year"]


def nested_as_object(sample: Sample) -> None:
    for row in sample.rows["cost"]:
        row["fare"] = {"base": row.pop("fare.base")}


def negative_zero(sample: Sample) -> None:
    for row in sample.rows["cost"]:
        row["note"] = 0.0
    sample.run("cost")
    sample.row("cost", "a")["note"] = -0.0


def back_again(sample: Sample) -> None:
    column("year", 2021)(sample)  # type: ignore[operator]
    sample.plan("cost")
    column_back = sample.rows["cost"]
    column_back["year"] = 2020  # type: ignore[call-overload]


def there_and_back(sample: Sample, meanwhile: object = None) -> None:
    """Another value, for which all steps run, and the old one again; between the two, something else may happen."""
    sample.row("cost", "b")["fare.base"] = 5
    for step in ("cost", "sum"):
        sample.run(step)
    sample.row("cost", "b")["fare.base"] = 2
    if callable(meanwhile):
        meanwhile(sample)


def other_package(sample: Sample) -> None:
    """The earlier result was computed with another version of a package."""
    (kept,) = sample.root.glob("runs/.ductaflow/kept/cost/b/*/run.json")
    told = json.loads(kept.read_text())
    told["fingerprint"]["packages"]["pandas"] = "1.0"
    kept.write_text(json.dumps(told))


def other_file(sample: Sample) -> None:
    write_data(sample.root / "data/b.csv", [1, 2, 0])


CASES = [
    Case("nothing", lambda sample: None),
    Case("row added", add_row, {"cost/d": "new"}),
    Case("row removed", drop_row),
    Case("rows reordered", reorder),
    Case("row renamed", rename_row, {"cost/renamed": "new"}),
    Case(
        "rows swap their names",
        swap_names,
        {"cost/a": "config: fare.base 1 -> 3", "cost/c": "config: fare.base 3 -> 1"}
        | {"sum/a": "input: runs/cost/a/cost.csv"},
    ),
    Case("scalar", column("year", 2021, "b"), {"cost/b": "config: year 2020 -> 2021"}),
    Case(
        "nested value",
        column("fare.base", 5, "b"),
        {"cost/b": "config: fare.base 2 -> 5", "sum/b": "input: runs/cost/b/cost.csv"},
    ),
    Case("type 1 to 1.0", column("year", 2020.0, "a"), {"cost/a": "config: year 2020 -> 2020.0"}),
    Case("negative zero", negative_zero, {"cost/a": "config: note 0.0 -> -0.0"}),
    Case("type number to text", column("year", "2020", "a"), {"cost/a": 'config: year 2020 -> "2020"'}),
    Case("type number to true", column("year", True, "a"), {"cost/a": "config: year 2020 -> true"}),
    Case("value gone missing", column("year", float("nan"), "c"), {"cost/c": "config: year 2020 -> null"}),
    Case("a float in a whole column", one_float_in_a_column, each(COSTS, "config: year 2020 -> 2020.0")),
    Case("key order", key_order),
    Case("new key", column("note", "x"), each(COSTS, "config: note added (x)")),
    Case("new nested key", column("fare.peak", [1, 2]), each(COSTS, "config: fare.peak added ([1, 2])")),
    Case("key removed", drop_column, each(COSTS, "config: year removed (was 2020)")),
    Case("dots or an object", nested_as_object),
    Case("changed and changed back", back_again),
    Case("back to an old value", there_and_back, back=("cost/b", "sum/b")),
    Case(
        "back to an old value and a file that it read has changed",
        lambda sample: there_and_back(sample, other_file),
        {"cost/b": "config: fare.base 5 -> 2; input: data/b.csv"},
        back=("sum/b",),
    ),
    Case(
        "back to an old value and a package has changed",
        lambda sample: there_and_back(sample, other_package),
        {"cost/b": "config: fare.base 5 -> 2"},
        back=("sum/b",),
    ),
    Case(
        "two keys",
        lambda sample: sample.row("cost", "c").update({"year": 1999, "fare.base": 4}),
        {"cost/c": "config: year 2020 -> 1999; config: fare.base 3 -> 4"},
    ),
    Case(
        "another input file",
        lambda sample: sample.row("cost", "c").update(links="data/b.csv"),
        {"cost/c": "config: links data/a.csv -> data/b.csv"},
    ),
]


@pytest.mark.parametrize("case", parameters(CASES))
def test_rows_and_config(sample: Sample, case: Case) -> None:
    """Only instances whose own row changed execute; the reason shows the key with its old and new value."""
    check(sample, case)


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (1, "1", '1 -> "1"'),
        (None, "null", 'null -> "null"'),
        (0.0, -0.0, "0.0 -> -0.0"),
        ([1.0, 0.0], [1.0, -0.0], "[1.0, 0.0] -> [1.0, -0.0]"),
        ("fare", "fare ", '"fare" -> "fare "'),
        ("a b", "a\u00a0b", '"a b" -> "a\\u00a0b"'),
        ("Caf\u00e9", "Cafe\u0301", '"Caf\\u00e9" -> "Cafe\\u0301"'),
        (10**70, 10**71, "...00000000000000000000 -> ...000000000000000000000"),
        ([*range(40), 7], [*range(40), 8], "...35, 36, 37, 38, 39, 7] -> ...35, 36, 37, 38, 39, 8]"),
    ],
)
def test_values_that_look_alike(old: object, new: object, shown: str) -> None:
    """A reason shows what differs, even if it is the type or the end of a long list."""
    assert list(value_changes("config", {"a": old}, {"a": new})) == [f"config: a {shown}"]


def test_long_values_that_begin_alike() -> None:
    """Two of them are never cut to the same text, be they of two rows."""
    told = [next(value_changes("config", {}, {"note": "x" * 80 + end})) for end in ("", "y", "z")]
    assert len(set(told)) == 3
    assert all(len(text) < 100 for text in told)

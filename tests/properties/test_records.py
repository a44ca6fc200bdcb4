"""Records: what is written is read again, field by field; what is damaged is told, everywhere alike."""

from __future__ import annotations

import copy
import json
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ductaflow import RecordError, load_results
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.project import Project as Found
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.record import Record, read_record, write_record
from ductaflow_runtime.runs.states import STORED
from ductaflow_runtime.status_page.build import write_page
from tests.properties.values import json_objects, json_texts, json_values, tried
from tests.staleness.sample import Sample

texts = json_texts
maybe = st.none()
amounts = st.floats(0, 1e9) | st.integers(0, 10**6)
relative = st.lists(st.sampled_from(["a", "b.csv", "\u00e9"]), min_size=1, max_size=3).map("/".join)
states = st.dictionaries(relative, st.fixed_dictionaries({"size": st.integers(0, 9), "sha256": texts}), max_size=2)
# Results, unlike a config, may be NaN or infinite.
results = st.dictionaries(
    texts,
    st.recursive(
        json_values | st.floats(),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, min_size=1, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)
tables = st.dictionaries(
    texts,
    st.fixed_dictionaries(
        {
            "file": relative,
            "rows": st.integers(0, 9),
            "dtypes": st.dictionaries(texts, texts, max_size=2),
            "empty": st.dictionaries(texts, st.lists(st.integers(0, 9), max_size=2), max_size=2),
        }
    ),
    max_size=2,
)
attempt = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["failed", "done"]),
        "error": maybe | texts,
        "duration_s": maybe | amounts,
        "log": st.sampled_from(["run.log", "run.attempt-1.log"]),
    }
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "schema": st.just(1),
    "flow": maybe | relative,
    **dict.fromkeys(
        ("step", "instance_name", "reason", "started", "finished", "command", "accepted", "accepted_reason"),
        maybe | texts,
    ),
    "status": st.sampled_from(sorted(STORED)),
    **dict.fromkeys(("duration_s", "cpu_s"), maybe | amounts),
    "peak_memory": maybe | st.integers(0, 2**63),
    "error": maybe
    | st.builds(
        Failure,
        texts.filter(bool),
        message=texts,
        cell=maybe | st.integers(1, 99),
        traceback=maybe | texts,
        place=maybe | texts,
    ),
    "warnings": maybe | st.integers(0, 2**53),
    "results": maybe | results,
    "tables": maybe | tables,
    "fingerprint": maybe
    | st.builds(
        Fingerprint,
        config=maybe | json_objects,
        code=st.builds(CodeState, cells=st.lists(texts, max_size=2), text=maybe | texts, defaults=maybe | json_objects),
        modules=states,
        inputs=states,
        packages=st.dictionaries(texts, texts, max_size=2),
        kernel=maybe | texts,
    ),
    "outputs": maybe | states,
    "environment": maybe | json_objects,
    "dates": maybe | st.lists(texts, max_size=2),
    "outside": maybe | st.lists(texts, max_size=2),
    "foreign": maybe | st.lists(texts, max_size=2),
    "brought_back": maybe | texts,
    "links": maybe | st.lists(relative, max_size=2),
    "attempts": maybe | st.lists(attempt, max_size=2),
}


@given(st.builds(Record, **FIELDS))
def test_what_is_written_is_read(record: Record) -> None:
    """Every field of a record comes back from the disk as it was, NaN, infinities and -0.0 included."""
    assert set(FIELDS) == {item.name for item in fields(Record)} - {"directory", "skipped"}
    with tempfile.TemporaryDirectory() as folder:
        written = record.but(directory=Path(folder))
        write_record(written)
        read = read_record(Path(folder))
        assert read is not None
        assert repr(read.but()) == repr(written)
        assert repr(_told(read)) == repr(_told(written))


def _told(record: Record) -> list[Any]:
    """All of a record, with NaN as something that is equal to itself in text, and -0.0 as something else than 0.0."""
    return [(item.name, getattr(record, item.name)) for item in fields(Record) if item.name != "directory"]


def places_in(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, key)
        yield from places_in(item, (*above, key))


def with_at(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The JSON value with another one in that place."""
    changed = copy.deepcopy(value)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = new
    return changed


odd = st.sampled_from(
    [
        *(None, True, -1, 1.5, 10**30, math.nan, "", "x", "..", "/", "\0", "\ud800", "\x1b[2J", "2030-13-45T99"),
        *([], {}, [[]], {"": None}, {"size": "1", "sha256": 5, "mtime_ns": []}, {"names": 5}),
        *({"instance": []}, {"record": {}}),
    ]
)
deep = st.sampled_from([50, 99, 900, 5000]).map(lambda depth: "[" * depth + "]" * depth)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """A record's file as something else may have left it: cut, overwritten, or with another value somewhere."""
    way = draw(st.sampled_from(["swapped", "swapped", "swapped", "gone", "cut", "bytes", "json", "deep"]))
    if way == "cut":
        return text.encode()[: draw(st.integers(0, len(text)))]
    if way == "bytes":
        return draw(st.binary(max_size=40))
    if way == "json":
        return json.dumps(draw(json_values)).encode()
    stored = json.loads(text)
    place = draw(st.sampled_from(list(places_in(stored))))
    if way == "gone" and len(place) == 1:
        del stored[place[0]]
        return json.dumps(stored).encode()
    if way == "deep":
        return json.dumps(with_at(stored, place, "DEEP")).replace('"DEEP"', draw(deep)).encode()
    return json.dumps(with_at(stored, place, draw(odd | json_values))).encode()


@settings(max_examples=120)
@given(data=st.data())
def test_a_damaged_record_is_told_alike(sample: Sample, data: st.DataObject) -> None:
    """However the file of one record is changed: plan, results, status and page take it for the same, and end well."""
    path = sample.folder("cost/b") / "run.json"
    kept = path.parent / "kept"
    if not kept.exists():
        kept.write_bytes(path.read_bytes())
    path.write_bytes(data.draw(damaged(kept.read_text())))
    read = tried(lambda: read_record(path.parent))
    is_damaged = isinstance(read, RecordError)
    assert not is_damaged or str(path) in str(read)
    reason = sample.plan("cost").get("cost/b")
    with warnings.catch_warnings(action="ignore"):
        frame = load_results("cost").set_index("instance_name")
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 0, done.exception
    assert (reason is not None and reason.startswith("record damaged: ")) == is_damaged
    assert (frame["status"]["b"] == "damaged") == is_damaged
    assert ("  cost/b: record damaged: " in done.output) == is_damaged
    assert frame["status"].drop("b").tolist() == ["done", "done"]
    write_page(Found.find().runs_dir, title="sample")
    for command in (["plan", "flow/cost.py", "--name", "b"], ["accept", "cost", "b"], ["report", "--html", "cost"]):
        done = CliRunner().invoke(main, command)
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)

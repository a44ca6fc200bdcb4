"""A config file gives the values that its author meant, or an error that says where it could mean two things."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.texts import apply_settings
from ductaflow_runtime.errors import ConfigError


def read(folder: Path, name: str, text: str) -> dict[str, Any]:
    """The config in a file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_config_file(path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-17", -17),
        ("+3", 3),
        ("0x1F", 31),
        ("0", 0),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("1.0e3", 1000.0),
        ("-2.5E+2", -250.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".nan", None),
        ("text", "text"),
        ("two words", "two words"),
        ("'012'", "012"),
        ('"no"', "no"),
        ("!!str 12", "12"),
        ("!!str 1e3", "1e3"),
        ("!!float 1", 1.0),
        ("y", "y"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05.123456", "2026-01-02T03:04:05.123456"),
        ("2026-01-02 03:04:05.123456000", "2026-01-02T03:04:05.123456"),
        ("v1.2.3", "v1.2.3"),
        ("12:30:45.5.1", "12:30:45.5.1"),
        ("=", "="),
        ("[1, 2.0, a]", [1, 2.0, "a"]),
        ("{b: 1}", {"b": 1}),
        ("|-\n  two\n  lines", "two\nlines"),
    ],
)
def test_yaml_values(written: str, value: Any, tmp_path: Path) -> None:
    """What YAML's versions read the same is read so; `1e-3` is a number."""
    found = read(tmp_path, "c.yaml", f"a: {written}\n")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("no", 'write false or "no"'),
        ("On", 'write true or "On"'),
        ("012", 'write "012"'),
        ("08", 'write "08"'),
        ("0o14", 'write "0o14"'),
        ("0b11", 'write "0b11"'),
        ("1_000", 'write "1_000"'),
        ("1:30", 'write "1:30"'),
        ("1:30.5", 'write "1:30.5"'),
        ("1_0.5", 'write "1_0.5"'),
        (".inf", "infinity"),
        ("-.INF", "infinity"),
        ("1e999", "infinity"),
        ("1.0e+999", "more than a float can hold"),
        ("!!set {x, y}", "a set is not a JSON value"),
        ("!!binary aGk=", "binary data is not a JSON value"),
        ("!!omap [x: 1]", "an ordered map is not a JSON value"),
        ("!!python/tuple [1, 2]", "python/tuple"),
        ("!mine 3", "!mine"),
        ("2026-13-45", "is no date"),
        ("{1: x}", 'the key 1 is not text; keys are text, so write it in quotes ("1")'),
        ("{on: x}", '("on")'),
        ("{x: 1, x: 2}", "'x' is given twice"),
        ("*nowhere", "undefined alias"),
        ("&a [*a]", "contains itself"),
        ("[1, 2", "is not valid YAML"),
        ("1\n---\nb: 2", "2 documents"),
    ],
)
def test_yaml_that_can_be_misread_is_refused(written: str, told: str, tmp_path: Path) -> None:
    """What programs read differently, or JSON cannot hold, is an error with the line and how to write it."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "c.yml", f"first: 1\na: {written}\n")
    assert told in str(caught.value)
    assert "c.yml" in str(caught.value)


def test_all_yaml_problems_come_at_once_with_their_lines(tmp_path: Path) -> None:
    """Somebody who corrects a file corrects it once."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "c.yaml", "a: no\nb: 1\nc:\n  d: 012\n  d: 3\n")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 1", "line 4", "line 5"]


def test_yaml_anchors_and_merges(tmp_path: Path) -> None:
    """Anchors stand for what they name, `<<` takes in keys below one's own, and nothing is shared between them."""
    text = """
base: &base {x: 1, y: {z: 2}}
one: *base
two:
  <<: *base
  x: 5
three:
  <<: [{x: 7}, *base]
"""
    found = read(tmp_path, "c.yaml", text)
    assert found["one"] == {"x": 1, "y": {"z": 2}}
    assert found["two"] == {"x": 5, "y": {"z": 2}}
    assert found["three"] == {"x": 7, "y": {"z": 2}}
    assert found["one"]["y"] is not found["two"]["y"]


def test_a_yaml_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    """Anchors of anchors of anchors end in an error."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="repeats itself too often"):
        read(tmp_path, "c.yaml", "\n".join(lines))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_yaml_file_is_refused(text: str, tmp_path: Path) -> None:
    """A file that lost its content is not taken for a config without keys."""
    with pytest.raises(ConfigError, match="holds nothing"):
        read(tmp_path, "c.yaml", text)
    assert read(tmp_path, "c.yaml", "{}") == {}


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.toml"])
def test_a_config_is_an_object_in_every_format(name: str, tmp_path: Path) -> None:
    """The same content gives the same config; with a byte-order mark too."""
    texts = {
        "c.json": '{"a": 1, "b": {"c": [1.5, "x", true]}}',
        "c.yaml": "a: 1\nb:\n  c: [1.5, x, true]\n",
        "c.toml": 'a = 1\n[b]\nc = [1.5, "x", true]\n',
    }
    wanted = {"a": 1, "b": {"c": [1.5, "x", True]}}
    assert read(tmp_path, name, texts[name]) == wanted
    assert read(tmp_path, name, "\ufeff" + texts[name]) == wanted


def test_toml_dates_and_special_floats(tmp_path: Path) -> None:
    """Dates and times are ISO text, nan is null, an infinity is refused by its key."""
    text = "a = 2026-01-02\nb = 2026-01-02T03:04:05Z\nc = 07:30:00\nd = nan\n[e]\nf = [2026-01-02]\n"
    assert read(tmp_path, "c.toml", text) == {
        "a": "2026-01-02",
        "b": "2026-01-02T03:04:05+00:00",
        "c": "07:30:00",
        "d": None,
        "e": {"f": ["2026-01-02"]},
    }
    with pytest.raises(ConfigError, match=r"a\.b: an infinity"):
        read(tmp_path, "c.toml", "[a]\nb = inf\n")
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 2"):
        read(tmp_path, "c.toml", "a = 1\na = 2\n")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    """The error names the endings that there are; a file without one is JSON, as a pipe is."""
    with pytest.raises(ConfigError, match=r"\.json, \.yaml \(or \.yml\) or \.toml"):
        read(tmp_path, "c.ini", "[a]\nb = 1\n")
    assert read(tmp_path, "config", '{"a": 1}') == {"a": 1}
    assert read(tmp_path, "C.YAML", "a: 1") == {"a": 1}


@pytest.mark.parametrize("name", ["c.yaml", "c.toml", "c.json"])
def test_a_file_that_is_not_there_or_no_text(name: str, tmp_path: Path) -> None:
    """The message names the file in each case."""
    with pytest.raises(ConfigError, match="not found"):
        read_config_file(tmp_path / name)
    (tmp_path / name).write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config_file(tmp_path / name)


def test_a_list_is_no_config(tmp_path: Path) -> None:
    """A YAML file whose top is no object says so."""
    with pytest.raises(ConfigError, match="a config is a dict"):
        read(tmp_path, "c.yaml", "- 1\n- 2\n")


@pytest.mark.parametrize("written", ["2026-01-02 03:04:05.123456789", "2026-01-02T03:04:05.0000001Z"])
def test_a_time_finer_than_it_can_be_kept_is_refused(tmp_path: Path, written: str) -> None:
    """Nothing is cut off in silence; in quotes it is the text."""
    with pytest.raises(ConfigError, match=r"line 1: .* is finer than a microsecond"):
        read(tmp_path, "a.yaml", f"a: {written}\n")
    assert read(tmp_path, "a.yaml", f'a: "{written}"\n') == {"a": written}


@pytest.mark.parametrize(
    "written", ["2026-01-02 03:04:05.123456789", "2026-01-02T03:04:05.0000001Z", "03:04:05.1234567", "03:04:05.0000001"]
)
def test_a_toml_time_finer_than_it_can_be_kept_is_refused(tmp_path: Path, written: str) -> None:
    """With its line, and what to write; a time in a text or a comment is none, and zeros at the end lose nothing."""
    texts = f'# at {written}\na = "at {written} \\" "\nb = \'{written}\'\nc = """\n{written}"""""\n'
    kept = {"a": f'at {written} " ', "b": written, "c": f'{written}""'}
    assert read(tmp_path, "a.toml", texts) == kept
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "a.toml", f"{texts}d = [1, {{ e = {written} }}]\n")
    (problem,) = caught.value.problems
    assert problem.startswith(f"line 6: {written} is finer than a microsecond")
    assert read(tmp_path, "a.toml", "d = 03:04:05.123456000\n") == {"d": "03:04:05.123456"}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("null", None),
        ("1e3", 1000.0),
        ('{"b": 1}', {"b": 1}),
        ('{"b": NaN}', '{"b": NaN}'),
        ("007", "007"),
        ("", ""),
    ],
)
def test_a_setting_is_json_or_text(given: str, value: object) -> None:
    """What JSON does not have is text, though Python's reader would take it."""
    assert apply_settings({}, [f"a={given}"]) == {"a": value}


def test_a_setting_gives_no_key_twice() -> None:
    """As in a file, at any depth."""
    for given in ('{"b": 1, "b": 2}', '[{"c": {"b": 1, "b": 2}}]'):
        with pytest.raises(ConfigError, match="gives a key twice: b") as caught:
            apply_settings({}, [f"a={given}"])
        assert str(caught.value).startswith(f"--set a={given}")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("deep.json", '{"n": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 60 deep"),
        ("deep.json", '{"n": ' * 100_000 + "1" + "}" * 100_000, "nested more than 60 deep"),
        ("deep.toml", "n = " + "[" * 3_000 + "]" * 3_000, "nested too deep"),
        ("long.json", '{"n": ' + "1" * 5_000 + "}", "a whole number of more than 4300 digits"),
        ("long.toml", "n = " + "1" * 5_000, "a whole number of more than 4300 digits"),
        ("long.yaml", "n: " + "1" * 5_000, "a whole number of more than 4300 digits"),
    ],
)
def test_a_file_beyond_all_bounds_is_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    """Python's own limits are told in words about the file."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as refused:
        read_config_file(path)
    assert str(path) in str(refused.value)


def test_a_key_twice_among_many(tmp_path: Path) -> None:
    """60,000 keys are looked at once each."""
    path = tmp_path / "many.json"
    path.write_text("{" + ",".join(f'"k{number}": 1' for number in range(60_000)) + ', "k7": 2}')
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"gives a key twice: k7$"):
        read_config_file(path)
    assert time.monotonic() - began < 10


def test_a_setting_beyond_all_bounds() -> None:
    """It is refused as well, and not repeated in full."""
    with pytest.raises(ConfigError, match="a whole number of more than 4300 digits") as refused:
        apply_settings({}, ["n=" + "1" * 5_000])
    assert len(str(refused.value)) < 200
    with pytest.raises(ConfigError, match="nested more than 60 deep"):
        apply_settings({}, ["n=" + "[" * 50_000 + "]" * 50_000])

"""The questions: few, in plain words, and strict about what would break the project."""

import os
import re
import sys

import copier
import pytest
import yaml
from plumbum import local

from tests.waiting import LAST_CHANCE_S

from .helpers import ROOT

SETTINGS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {name: value for name, value in SETTINGS.items() if not name.startswith("_")}


def test_there_are_at_most_eight_questions_and_each_says_what_it_asks():
    """Nobody answers more than eight questions, and each has help and a default."""
    assert len(QUESTIONS) <= 8
    for name, question in QUESTIONS.items():
        assert len(question["help"].split()) >= 5, name
        assert "default" in question, name
        is_free_text = question["type"] == "str" and "choices" not in question
        assert ("validator" in question) is is_free_text, name


BAD_TEXTS = {
    "empty": "",
    "blank": "   ",
    "space before": " before",
    "space behind": "behind ",
    "quotes": 'a "quoted" word',
    "backslash": "back\\slash",
    "backslash at the end": "trailing\\",
    "two lines": "two\nlines",
    "line end": "line end\n",
    "carriage return": "carriage\rreturn",
    "tab": "tab\tstop",
    "nul": "nul\0byte",
    "escape": "\x1b[31mred",
    "delete": "delete\x7f",
    "next line": "next\x85line",
    "line separator": "line\u2028separator",
    "braces": "{{ 7 * 7 }}",
    "surrogate": "lone \udc80 surrogate",
    "too long": "x" * 201,
}


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_text_that_would_break_a_file_is_refused_with_help(asking, generate, bad):
    """A text that could not stand in TOML or Markdown is refused, and the error says what to type."""
    with pytest.raises(ValueError, match=r"Type .*such as Harbour tunnel.*no double quotes, backslashes"):
        generate(asking, project_name=BAD_TEXTS[bad])


@pytest.mark.parametrize("question", ["description", "author"])
@pytest.mark.parametrize("bad", ["empty", "quotes", "backslash", "line end", "braces", "too long"])
def test_every_free_text_is_checked(asking, generate, question, bad):
    """The other free texts are as strict, each with an example of its own."""
    with pytest.raises(ValueError, match=rf"'{question}': Type .*such as .*no double quotes, backslashes"):
        generate(asking, **{question: BAD_TEXTS[bad]})


@pytest.mark.parametrize(
    "slug",
    ["", "Upper", "under_score", "-a", "a-", "a--b", "1st", "a b", "é", "a\n", "a" * 51],
)
def test_invalid_slug_is_refused_with_an_example(asking, generate, slug):
    """A short name that packaging tools would not take is refused with one that they do."""
    with pytest.raises(ValueError, match=r"'project_slug': Type .*for example harbour-tunnel-study"):
        generate(asking, project_slug=slug)


@pytest.mark.parametrize("slug", ["ductaflow", "pandas", "scipy"])
def test_slug_of_a_package_that_the_project_needs_is_refused(asking, generate, slug):
    """A project named like one of its own dependencies could not be installed."""
    with pytest.raises(ValueError, match=f"{slug} is the name of a package .*such as my-{slug}-study"):
        generate(asking, project_slug=slug)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Harbour tunnel study", "harbour-tunnel-study"),
        ("Ölbrück & Straße", "oelbrueck-strasse"),
        ("2024: Ring road (north)", "ring-road-north"),
        ("Été 2026", "ete-2026"),
        ("Čeština, Łódź und Tromsø", "cestina-lodz-und-tromso"),
        ("İstanbul, Œuvre & Ærø", "istanbul-oeuvre-aero"),
        ("\u0131l\u0131k: E\u0301te\u0301 in two code points", "ilik-ete-in-two-code-points"),
        ("Đường Nguyễn Huệ", "duong-nguyen-hue"),
        ("Лето 2026 in 東京 \ue000 \U000f0000 \xa0x", "in-x"),
        ("東京", "my-analysis"),
        ("--", "my-analysis"),
        ("ab " * 26 + "ab", "ab-" * 16 + "ab"),
    ],
)
def test_slug_is_computed_from_the_name(asking, generate, name, slug):
    """The short name offered is always a valid one."""
    project = generate(asking, project_name=name)
    assert yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))["project_slug"] == slug


@pytest.mark.parametrize(
    ("question", "answer"),
    [("python_version", "2.7"), ("example", "rail")],
)
def test_choice_that_is_not_offered_is_refused(asking, generate, question, answer):
    """Only the offered choices are taken."""
    with pytest.raises(ValueError, match=f"Invalid choice for '{question}'"):
        generate(asking, **{question: answer})


def test_template_from_a_relative_path_is_refused_at_once(released, tmp_path, monkeypatch):
    """A project made from a relative path could be neither installed nor updated, so nothing is made."""
    monkeypatch.chdir(released.parent)
    with pytest.raises(ValueError, match="git address or its absolute path"):
        copier.run_copy("ductaflow", tmp_path / "project", defaults=True, quiet=True)
    assert not (tmp_path / "project").exists()


OWN_PYTHON = re.search(r"3\.\d+$", os.path.realpath(sys.executable))
needs_own_python = pytest.mark.skipif(OWN_PYTHON is None, reason="this Python's file name does not say its version")


def told_after_copy(source, project, capsys, **answers):
    """What the terminal shows after a copy."""
    copier.run_copy(str(source), project, data=answers, defaults=True)
    return capsys.readouterr().err


def test_message_after_copy_tells_the_next_commands(released, tmp_path, capsys):
    """After the copy, the terminal shows how to go on, down to the first sweep, with pip or with uv."""
    told = told_after_copy(released, tmp_path / "my project", capsys)
    commands = [
        f'cd "{tmp_path / "my project"}"',
        "git init",
        "python -m venv .venv",
        "python -m pip install --upgrade pip",
        'pip install -e ".[dev]"',
        "python conductor.py",
        "uv venv",
        'uv pip install -e ".[dev]"',
    ]
    places = [told.index(command) for command in commands]
    assert places == sorted(places)


def test_local_address_is_told_to_be_local(released, tmp_path, capsys):
    """Who starts from a folder hears that others cannot install from it, and what to write in its place."""
    told = told_after_copy(released, tmp_path / "local", capsys)
    assert f"from a folder of this computer, which others cannot install from:\n{released}\n" in told
    readme = (tmp_path / "local/README.md").read_text(encoding="utf-8")
    for text in (told, readme):
        assert "_src_path" in text
        assert "put that repository on a git server" in text

    address = "https://git.example.invalid/team/ductaflow.git"
    instead = {"KEY_0": f"url.{released.as_uri()}.insteadOf", "VALUE_0": address, "COUNT": "1"}
    with local.env(**{f"GIT_CONFIG_{name}": value for name, value in instead.items()}):
        told = told_after_copy(address, tmp_path / "remote", capsys)
    assert "README.md says what is where" in told
    assert "git server" not in told + (tmp_path / "remote/README.md").read_text(encoding="utf-8")


@needs_own_python
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_python_that_copier_does_not_run_on_is_told_after_the_copy(released, tmp_path, capsys, version):
    """Who asks for a newer Python than the one at work hears so, and how to get it, before pip refuses."""
    told = told_after_copy(released, tmp_path / "project", capsys, python_version=version)
    assert f"(a Python {version} or newer)" in told
    newer = tuple(map(int, version.split("."))) > tuple(map(int, OWN_PYTHON[0].split(".")))
    assert (f"the Python that runs copier here is {OWN_PYTHON[0]}. " in told) is newer
    assert (f"python{version} -m venv .venv" in told) is newer


@needs_own_python
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="no version newer than this Python is offered")
def test_python_that_copier_does_not_run_on_is_told_when_asked(released, tmp_path):
    """The choices say which Python versions are newer than the one at work."""
    import pexpect

    command = ["-m", "copier", "copy", str(released), str(tmp_path / "project")]
    asked = pexpect.spawn(
        sys.executable, command, env=os.environ, encoding="utf-8", dimensions=(50, 150), timeout=LAST_CHANCE_S
    )
    for question in ("Name of the project", "Short name", "What the project finds out", "Who is responsible"):
        asked.expect_exact(question)
        asked.send("\r")
    asked.expect_exact("Python 3.11")
    asked.expect_exact(f"Python 3.13, newer than the {OWN_PYTHON[0]} that runs copier here")
    asked.close(force=True)

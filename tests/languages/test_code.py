"""What is told of code in other languages."""

from __future__ import annotations

import pytest

from ductaflow_runtime.execution.translation import parameter_problems, variables_of
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.parameters.languages import assigned_in, texts_in, without_comments


def code_of(*assigned: str, language: str = "r") -> FlowCode:
    """A flow whose parameters cell assigns these names."""
    return FlowCode((), "", (), (), None, None, language, assigned, assigned)


@pytest.mark.parametrize(
    ("language", "source", "meaning"),
    [
        ("r", "# head\nx <- 1  # why\ny <- 'a # b'\n", "x <- 1\ny <- 'a # b'"),
        ("r", 'x <- "two\n# lines"', 'x <- "two\n# lines"'),
        ("bash", 'echo "# no" # yes', 'echo "# no"'),
        ("bash", "echo a#b # c", "echo a#b"),
        ("bash", "echo ${#x} $# ${x#pre} $((16#ff))", "echo ${#x} $# ${x#pre} $((16#ff))"),
        ("bash", "cat <<EOT\n# text\nEOT", "cat <<EOT\n# text\nEOT"),
        ("bash", "echo a\\ # no comment", "echo a\\ # no comment"),
        ("julia", 'x = 1 # c\ns = """\n# in\n"""', 'x = 1\ns = """\n# in\n"""'),
        ("cobol", "x # y", "x # y"),
    ],
)
def test_comments_do_not_count_and_code_always_does(language: str, source: str, meaning: str) -> None:
    """Only what is a comment for certain is left out: all else makes a changed cell."""
    assert without_comments(source, language) == meaning


def test_files_that_code_names_are_found() -> None:
    """Quoted texts, in a shell each word, and what is named from the project's folder on."""
    assert {"data/a b.csv", "x"} <= set(texts_in("read.csv('data/a b.csv'); f(\"x\")", "r"))
    found = set(texts_in('wc -l ../in.csv "$DUCTAFLOW_PROJECT/data/a b.csv" ${DUCTAFLOW_PROJECT}/data/c.csv', "bash"))
    assert {"../in.csv", "data/a b.csv", "data/c.csv"} <= found


def test_names_with_dots_in_r() -> None:
    """A column `learning.rate` reaches the variable of that name, and nested values stay lists."""
    names = tuple(assigned_in("learning.rate <- 0.1\nnet = list()\n", "r"))
    assert names == ("learning.rate", "net")
    config = {"learning": {"rate": 0.7}, "net": {"a": 1}}
    assert variables_of(config, code_of(*names), "r") == {"learning.rate": 0.7, "net": {"a": 1}}
    mixed = {"learning": {"rate": 0.7, "decay": 2}}
    assert variables_of(mixed, code_of(*names), "r") == {"learning.rate": 0.7, "learning": {"decay": 2}}


@pytest.mark.parametrize(
    ("language", "config", "word"),
    [
        ("bash", {"a-b": 1}, "name of a variable"),
        ("bash", {"UID": 1}, "keeps this variable"),
        ("bash", {"a": {"b": 1}}, "bash has no objects"),
        ("bash", {"a": "x\0y"}, "NUL"),
        ("r", {"_a": 1}, "name of a variable"),
        ("r", {"a": 2**53 + 1}, "too large"),
        ("r", {"a": {"b": [2**60]}}, "too large"),
        ("matlab", {"a": "ü"}, "exactly"),
        ("powershell", {"a": "$x"}, "exactly"),
        ("c#", {"a": None}, "null"),
        ("cobol", {"a": 1}, "cobol"),
    ],
)
def test_what_a_language_cannot_be_given_is_refused(language: str, config: dict[str, object], word: str) -> None:
    """A value arrives exactly, or is refused with the key's name."""
    (problem,) = parameter_problems(dict(config), code_of(*config, language=language), "k", language)
    assert word in problem

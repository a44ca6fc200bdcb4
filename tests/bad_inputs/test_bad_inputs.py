"""Whatever is typed wrong is told so, in the words that the documentation shows, and costs no other row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_inputs.case import INSIDES, Bad, Section, said
from tests.bad_inputs.page import PAGE, answered, key_of, rendered
from tests.bad_inputs.table import SECTIONS

CASES = [(section, case) for section in SECTIONS for case in section.cases]
LEAST = 120


def called(value: Section | Bad) -> str:
    """A case in a test's id."""
    if isinstance(value, Section):
        return value.title
    return ascii(value.typed.splitlines()[-1])[1:-1][:60]


@pytest.mark.parametrize(("section", "case"), CASES, ids=called)
def test_the_message_is_the_one_that_the_page_shows(section: Section, case: Bad, tmp_path: Path) -> None:
    """It comes within a minute, as an error of ductaflow's or with exit code 2, and in words about what was typed."""
    told = said(case, tmp_path, section.files)
    assert INSIDES.search(told) is None, told
    assert answered(section, case, told).rstrip() in PAGE.read_text(encoding="utf-8")


def test_the_page_holds_the_table_and_nothing_else() -> None:
    """`make bad-inputs` has been run since the table was changed."""
    page = PAGE.read_text(encoding="utf-8")
    told = {}
    for section, case in CASES:
        begin = page.index(key_of(section, case)) + len(key_of(section, case))
        told[key_of(section, case)] = page[begin:].split("```text\n", 1)[1].split("\n```\n", 1)[0]
    assert rendered(told) == page
    assert len(told) == len(CASES) >= LEAST

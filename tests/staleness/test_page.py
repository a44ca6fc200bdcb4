"""The documentation's page on staleness, held against the reasons that the matrix proves."""

from __future__ import annotations

import re
from pathlib import Path

from tests.staleness import test_code, test_inputs, test_rows_and_config, test_states

PAGE = Path(__file__).parents[2] / "docs/what-runs-again.md"
TABLES = (test_code.CASES, test_inputs.CASES, test_inputs.CHAINS, test_rows_and_config.CASES, test_states.CASES)


def kind(cause: str) -> str:
    """What a cause is of, and how it says so, without names and values."""
    head, _, rest = cause.partition(": ")
    if head in ("config", "code"):
        return head + " " + " ".join(sorted(set(re.findall(r"\b(added|removed|cell)\b|->", rest))))
    return head + " " + " ".join(re.findall(r"\((?:was|its|it)\b[^)]*\)", rest)) + (" ->" if "->" in rest else "")


def test_every_reason_is_on_the_page() -> None:
    """Each kind of reason that a case of the matrix proves is in the page's table of causes."""
    shown = {kind(text) for text in re.findall(r"`([^`]+)`", PAGE.read_text(encoding="utf-8"))}
    told = [reason for table in TABLES for case in table for reason in case.runs.values()]
    causes = {cause for reason in told for cause in reason.split("; ")}
    assert {cause for cause in causes if kind(cause) not in {*shown, ""}} == set()


def test_the_cases_have_names_of_their_own() -> None:
    """A case's name stands for one change."""
    names = [case.name for table in TABLES for case in table]
    assert sorted(set(names)) == sorted(names)

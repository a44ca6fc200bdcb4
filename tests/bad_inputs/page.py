"""docs/bad-inputs.md, made of the table: what is typed, and what is said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from ductaflow_runtime.errors import shown
from tests.bad_inputs.case import FILES, ROWS, Bad, Section, said
from tests.bad_inputs.table import SECTIONS
from tests.markdown_pages import ROOT

PAGE = ROOT / "docs" / "bad-inputs.md"
_HEAD = """\
# What is said about bad inputs

Each of these is typed in a small project, and below it stands what ductaflow says: as an error of Python, or as the
message of a command, which then ends with exit code 2. The test that tries them makes this page (`make bad-inputs`), so
it shows what is really said. `PROJECT` stands for the project's folder. Where a row fails, the other one is done.

The project has three files, and the Python below begins with `from ductaflow import *`, pandas as `pd`, numpy as `np`,
and two rows:

"""
_MARK = "Said:"


def said_by_table() -> dict[str, str]:
    """What is said about each case, by its key."""
    told = {}
    for section in SECTIONS:
        for case in section.cases:
            with tempfile.TemporaryDirectory() as folder:
                told[key_of(section, case)] = said(case, Path(folder), section.files)
    return told


def key_of(section: Section, case: Bad) -> str:
    """The one place of a case in the page: how it begins there."""
    return "\n".join(_asked(section, case))


def rendered(told: dict[str, str]) -> str:
    """The page."""
    lines = [_HEAD + _block("text", ROWS)]
    lines += [f"`{name}`:\n\n{_block('text', content)}" for name, content in FILES.items()]
    for section in SECTIONS:
        lines.append(f"## {section.title}\n\n" + (f"{section.about}\n\n" if section.about else ""))
        lines += [f"`{name}`:\n\n{_block('text', content)}" for name, content in section.files.items()]
        lines += [answered(section, case, told[key_of(section, case)]) for case in section.cases]
    return "".join(lines).rstrip() + "\n"


def answered(section: Section, case: Bad, told: str) -> str:
    """A case with what is said about it, as the page shows it."""
    return f"{key_of(section, case)}{_MARK}\n\n{_block('text', told)}"


def _asked(section: Section, case: Bad) -> Iterator[str]:
    for name, content in case.files.items():
        text = repr(content)[2:-1] if isinstance(content, bytes) else shown(content)
        yield f"`{name}`:\n\n{_block('text', text)}"
    yield _block("text", case.typed)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n\n"

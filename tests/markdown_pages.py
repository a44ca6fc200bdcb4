"""Reading Markdown pages: their code blocks, tables and links, and running blocks in a project."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])

_FENCE = re.compile(
    r"(?:^[ ]*<!-- (?P<directive>[^>]*?) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block, and the comment that stands before it."""

    page: Path
    line: int
    language: str
    text: str
    directive: str = ""

    @property
    def file(self) -> str | None:
        """The project file that this block is, or is a part of."""
        return self.directive.removeprefix("file: ") if self.directive.startswith("file: ") else None

    @property
    def commands(self) -> list[list[str]]:
        """The commands of a `bash` block, as words; continued lines are joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    content = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=content[: match.start("text")].count("\n") + 1,
            language=match["language"],
            text=re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            directive=match["directive"] or "",
        )
        for match in _FENCE.finditer(content)
    ]


def table_below(page: Path, marker: str) -> list[list[str]]:
    """The cells of the first table after a line that starts with `marker`, without its head."""
    content = page.read_text(encoding="utf-8")
    start = re.search(f"^{re.escape(marker)}", content, re.MULTILINE)
    assert start is not None, f"{page.name} has no {marker!r}"
    table = re.search(r"(?:^\|.*\n)+", content[start.end() :], re.MULTILINE)
    assert table is not None, f"{page.name} has no table below {marker!r}"
    rows = [line.strip().strip("|").split("|") for line in table[0].splitlines()]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def links_of(page: Path) -> Iterator[str]:
    """The targets of a page's links that lie in the repository."""
    outside_code = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_code):
        if not re.match(r"[a-z]+:", target):
            yield target


def headings_of(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def with_our_python() -> dict[str, str]:
    """An environment in which `python` and `ductaflow` are those of the tests."""
    paths = [os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    return {**os.environ, "PATH": os.pathsep.join(paths)}


def run_command(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would who has activated the environment; it must succeed."""
    env = with_our_python()
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def run_python(block: Block, names: dict[str, Any]) -> str:
    """Execute a `python` block as written, in a namespace that it shares with those before it; gives what it prints."""
    padded = "\n" * (block.line - 1) + block.text  # a traceback shows the page's own line
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(padded, str(block.page), "exec"), names)
    return printed.getvalue()

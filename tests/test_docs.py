"""The README and the documentation say what is so: what they show is run, what they name is looked up."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import ductaflow
from ductaflow_runtime import errors
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.settings import Settings
from tests.conftest import Project
from tests.markdown_pages import (
    PAGES,
    ROOT,
    Block,
    blocks_of,
    headings_of,
    links_of,
    run_command,
    run_python,
    table_below,
)
from tests.test_architecture import FLOOR

README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference.md"
PRINTED = "output: the block above"
CONDUCTED = "output: conductor.py"
MEASURED = ("light", "plot", "busy")
RUN_HERE = ("run", "plan", "status", "report")


def called(path: Path) -> str:
    """A page's name in a test's id."""
    return path.relative_to(ROOT).as_posix()


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [(block, words) for block in BLOCKS if block.language == "bash" for words in block.commands]


def told(value: Block | list[str]) -> str:
    """A block's place or a command in a test's id."""
    return f"{called(value.page)}:{value.line}" if isinstance(value, Block) else shlex.join(value)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=called)
def test_examples_of_a_page_run_as_written(page: Path, project: Project) -> None:
    """A page's blocks, run from top to bottom in a project that holds the files it shows, do what the page says."""
    blocks = blocks_of(page)
    for name in dict.fromkeys(block.file for block in blocks if block.file):
        project.write(name, "\n\n".join(block.text for block in blocks if block.file == name))
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    for block in blocks:
        if block.directive == PRINTED:
            assert block.text == printed, told(block)
        if block.file or block.directive.startswith(("not run: ", "output: ")):
            continue
        if block.language == "python":
            printed = run_python(block, names)
        elif block.language == "bash":
            run_shown(block, project.root)


def run_shown(block: Block, folder: Path) -> None:
    """Run the commands of a block that concern a project: its flows, and `ductaflow` itself."""
    for words in block.commands:
        if words[0] == "python" and words[1].startswith("flow/"):
            run_command(words, folder)
        elif words[0] == "ductaflow" and words[1] in RUN_HERE:
            done = CliRunner().invoke(main, words[1:])
            assert done.exit_code == 0, f"{block.page.name}:{block.line}: {shlex.join(words)}\n{done.output}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=told)
def test_examples_are_python(block: Block) -> None:
    """Every Python block is a whole piece of Python."""
    ast.parse(block.text)


def test_directives_are_known() -> None:
    """A comment before a block is one that steers it, with a reason where it is not run."""
    steers = rf"(file|not run): \S|{PRINTED}$|{CONDUCTED}$"
    assert [told(block) for block in BLOCKS if block.directive and not re.match(steers, block.directive)] == []


@pytest.mark.parametrize(("block", "words"), [(b, words) for b, words in COMMANDS if words[0] == "ductaflow"], ids=told)
def test_shown_commands_exist(block: Block, words: list[str]) -> None:
    """A `ductaflow` command in a page has the options that it is shown with."""
    check_command(words[1], [word for word in words[2:] if word.startswith("--")])


def check_command(name: str, options: list[str]) -> None:
    """The command is there, explains itself, and knows the options."""
    command = main.commands.get(name)
    assert isinstance(command, click.Command), f"there is no command ductaflow {name}"
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    for option in options:
        assert re.search(rf"{option}\b", shown.output), f"ductaflow {name} has no {option}"


@pytest.mark.parametrize("row", table_below(REFERENCE, "## The command"), ids=lambda row: row[0])
def test_command_line_table_is_true(row: list[str]) -> None:
    """Each command of the reference's table exists, with its options and arguments."""
    _, name, *rest = shlex.split(row[0])
    extra = re.findall(r"`(--\w+)`", row[1])
    check_command(name, [*(word for word in rest if word.startswith("--")), *extra])


def test_command_line_table_is_complete() -> None:
    """The reference lists every command."""
    listed = {shlex.split(row[0])[1] for row in table_below(REFERENCE, "## The command")}
    assert listed == set(main.commands)


def test_make_targets_exist() -> None:
    """Every `make` target that a page shows is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert shown
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link leads to a file that is there, and to a heading in it."""
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{called(page)}: {target}"
        assert not anchor or anchor in headings_of(file), f"{called(page)}: {target}"


@pytest.mark.parametrize("name", ductaflow.__all__)
def test_public_names_are_in_the_reference(name: str) -> None:
    """Each public name has a section of its own, with an example that uses it."""
    section = section_of(name)
    examples = [b for b in blocks_of(REFERENCE) if b.text in section and b.language == "python"]
    used = name if name != "load_cli_config" else "--output-dir"
    assert any(used in block.text for block in examples) or used in section
    assert any(block.directive == "" for block in examples), f"{name} has no example that runs"


def section_of(name: str) -> str:
    """The text of a public name's section in the reference."""
    parts = re.split(r"^#{2,3} ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [part for part in parts if part.startswith(f"`{name}`\n")]
    assert len(found) == 1, f"docs/reference.md has {len(found)} sections for {name}"
    return found[0]


@pytest.mark.parametrize("name", [n for n in ductaflow.__all__ if inspect.isfunction(getattr(ductaflow, n))])
def test_signatures_in_the_reference_are_true(name: str) -> None:
    """A function's section opens with its arguments and their defaults."""
    shown = re.search(rf"`{name}\((.*?)\)`", section_of(name), re.DOTALL)
    assert shown is not None
    given = ast.parse(f"def f({shown[1]}): pass").body[0]
    assert isinstance(given, ast.FunctionDef)
    parameters = inspect.signature(getattr(ductaflow, name)).parameters.values()
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    true = ast.parse(f"def f{inspect.Signature(plain)}: pass").body[0]
    assert isinstance(true, ast.FunctionDef)
    assert ast.dump(given.args) == ast.dump(true.args)


def test_settings_table_is_true() -> None:
    """The reference's table of `[tool.ductaflow]` lists the settings that there are."""
    listed = [row[0] for row in table_below(REFERENCE, "## Settings")]
    assert listed == [item.name for item in fields(Settings)]


def test_arguments_table_is_true() -> None:
    """The reference's table for `run_instances` lists its arguments, in order."""
    listed = [row[0] for row in table_below(REFERENCE, "### `run_instances`")]
    assert listed == list(inspect.signature(ductaflow.run_instances).parameters)


def test_fields_table_is_true() -> None:
    """docs/runs.md lists the fields of `run.json`, in order."""
    listed = [row[0] for row in table_below(ROOT / "docs" / "runs.md", "<!-- fields of run.json -->")]
    assert listed == list(Record().to_json())


def test_errors_are_those_of_the_module() -> None:
    """The reference's table and the module's own tree show the errors as they are, in one order."""
    classes = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.DuctaflowError)
    }
    assert all(getattr(errors, name).__bases__ == (errors.DuctaflowError,) for name in classes - {"DuctaflowError"})
    tree = (errors.__doc__ or "").split("\n\n")[1].strip()
    named = re.findall(r"^(?:[├└]── )?(\w+)", tree, re.MULTILINE)
    assert set(named) == classes
    assert ["DuctaflowError", *(row[0] for row in table_below(REFERENCE, "## Errors"))] == named
    assert classes <= set(ductaflow.__all__)


def test_rooms_of_the_runtime_are_told() -> None:
    """CONTRIBUTING lists each room once, from the ground floor up."""
    (tree,) = [b for b in blocks_of(ROOT / "CONTRIBUTING.md") if b.text.startswith("ductaflow_runtime/\n")]
    rooms = re.findall(r"^    (\w+)(?:/|\.py) +\S", tree.text, re.MULTILINE)
    assert len(rooms) == len(tree.text.splitlines()) - 1
    assert sorted(rooms) == sorted(FLOOR)
    assert [FLOOR[room] for room in rooms] == sorted(FLOOR.values())


def test_the_ratios_are_those_that_were_measured() -> None:
    """README's table of speed is taken from the committed benchmark, digit by digit."""
    measured = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", measured, flags=re.MULTILINE)
    flows = {name: next(text for text in sections if text.startswith(f"The {name} flow")) for name in MEASURED}
    rows = table_below(README, "## Speed")
    assert len(rows) == 5
    for way, *ratios in rows:
        for name, ratio in zip(MEASURED, ratios, strict=True):
            row = rf"^\| {re.escape(way)} \|(?:[^|]*\|){{3}} {re.escape(ratio)} x \|"
            assert re.search(row, flows[name], re.MULTILINE), way

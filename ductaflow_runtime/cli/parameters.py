"""`ductaflow parameters`: what a flow can be given, with its defaults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from ductaflow_runtime.cli.common import echo
from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.flow.analysis import analyse, find_flow
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.notebook import first_parameters_cell, language_of, read_bytes, read_notebook
from ductaflow_runtime.parameters.cell import list_parameters
from ductaflow_runtime.parameters.magics import parse
from ductaflow_runtime.project import Project

_LONGEST = 60


def add_to(group: click.Group) -> None:
    """Add the command of this module to the `ductaflow` command."""
    group.add_command(parameters)


@click.command()
@click.argument("flow", type=click.Path(path_type=Path))
def parameters(flow: Path) -> None:
    """List what FLOW can be given: each parameter with its default, type hint and comment."""
    project = Project.find()
    path = find_flow(flow, project.root)
    code = analyse(path, project.flow_cache, keep=False)
    name = project.relative(path)
    if not code.keys.has_cell:
        echo(f"{name} has no parameters cell: it can be given nothing.")
        return
    for line in in_config(name, code, project) if code.keys.takes_config else as_variables(name, path, code):
        echo(line)


def as_variables(name: str, path: Path, code: FlowCode) -> Iterator[str]:
    """The variables of a flow that is given each of its parameters as one."""
    notebook = read_notebook(path, read_bytes(path))
    cell = first_parameters_cell(notebook)
    source = cell.source if cell is not None and cell.cell_type == "code" else ""
    found = list_parameters(source, parse(source) if language_of(notebook) == "python" else None)
    yield f"{name} takes each parameter as a variable:"
    yield from table((each.name, _shorten(each.default), each.hint, each.help) for each in found)
    yield from _without_default(code.keys.free)


def in_config(name: str, code: FlowCode, project: Project) -> Iterator[str]:
    """The keys of a flow that is given its parameters in `config`, with where their defaults stand."""
    yield f"{name} takes its parameters in `config`."
    known: Config = {}
    if code.keys.defaults:
        known.update(flatten(code.keys.defaults))
        yield "Defaults in the parameters cell:"
        yield from _values(code.keys.defaults)
    if code.default_config is not None:
        default = read_config_file(project.root / code.default_config)
        known.update(flatten(default))
        yield f"Defaults in {code.default_config}:"
        yield from _values(default)
    parents = {".".join(key.split(".")[:depth]) for key in known for depth in range(1, key.count(".") + 2)}
    reads = [".".join(part) for part in code.keys.reads]
    deepest = [key for key in reads if not any(other.startswith(f"{key}.") for other in reads)]
    yield from _without_default([key for key in deepest if key not in parents])
    hidden = [why for part, why in code.keys.hidden if not part]
    if hidden:
        yield f"There may be others: {hidden[0]}."


def _values(config: Config) -> Iterator[str]:
    return table((key, _shorten(json.dumps(value, ensure_ascii=False))) for key, value in flatten(config).items())


def _without_default(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"Read by the code, and without a default: {', '.join(names)}"


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows as aligned lines."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

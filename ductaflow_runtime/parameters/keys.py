"""What is known of a flow's parameters once its cells are read: one plain value, found once for each text of a flow."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any

from ductaflow_runtime.config.values import Config
from ductaflow_runtime.parameters import arrival
from ductaflow_runtime.parameters.arrival import Arrival, arrival_of
from ductaflow_runtime.parameters.cell import CONFIG, assigned_names, date_defaults, default_values, list_parameters
from ductaflow_runtime.parameters.fate import Below, PlacedCell
from ductaflow_runtime.parameters.follow import follow
from ductaflow_runtime.parameters.magics import open_magics
from ductaflow_runtime.parameters.names import hidden_way, imports_in, names_in, words_in
from ductaflow_runtime.parameters.scopes import free_names
from ductaflow_runtime.parameters.trail import Part

_COMMENT = re.compile(r"^\s*(?:#|//|%).*$", re.MULTILINE)


@dataclass(frozen=True)
class CodeCell:
    """A code cell: its text, its syntax (`None` if it is not Python), and whether it is the parameters cell.

    `runs` is false for one that is skipped, or may end with an error.
    """

    source: str
    tree: ast.Module | None
    is_parameters: bool = False
    runs: bool = True


@dataclass(frozen=True)
class FlowKeys:
    """Which keys a flow reads, as far as its code says.

    `has_cell` tells whether anything can be given to it, `takes_config` how: in `config`, or each as a variable.
    `is_python` is false for one in another language.
    `parameters` are the names in the parameters cell, `defaults` those of their values that are plain JSON (what
    `config` is there, if it takes one), `dates` the dotted keys whose default is a date.
    `free` are variables that the code reads and does not assign. `reads` are the paths of keys that the code reads;
    below the paths in `hidden` it may read others, for the reason given. `names` are all names and texts in the code;
    `imports` what it imports. `arrival` says what hinders values from arriving.
    """

    has_cell: bool
    is_python: bool
    takes_config: bool
    parameters: tuple[str, ...]
    defaults: Config
    free: tuple[str, ...]
    reads: tuple[Part, ...]
    hidden: tuple[tuple[Part, str], ...]
    names: tuple[str, ...]
    imports: tuple[str, ...]
    arrival: Arrival = field(default_factory=Arrival)
    dates: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The value as plain JSON, to be cached."""
        return asdict(self)

    def why_hidden(self, part: Part) -> str | None:
        """Why the code may read keys below a part that nobody sees it read; `None` if it cannot."""
        return next((why for hidden, why in self.hidden if part[: len(hidden)] == hidden), None)


def from_json(stored: dict[str, Any]) -> FlowKeys:
    """The value that `as_json` gave; raises `KeyError` or `TypeError` for anything else."""
    return FlowKeys(
        has_cell=stored["has_cell"],
        is_python=stored["is_python"],
        takes_config=stored["takes_config"],
        parameters=tuple(stored["parameters"]),
        defaults=stored["defaults"],
        free=tuple(stored["free"]),
        reads=tuple(map(tuple, stored["reads"])),
        hidden=tuple((tuple(part), why) for part, why in stored["hidden"]),
        names=tuple(stored["names"]),
        imports=tuple(stored["imports"]),
        arrival=arrival.from_json(stored["arrival"]),
        dates=tuple(stored["dates"]),
    )


def analyse_keys(
    cells: Sequence[CodeCell], default_config: str | None = None, *, has_cell: bool = True, place: int = 0
) -> FlowKeys:
    """Read a flow's code cells; `default_config` is the path that its CLI cell names.

    `has_cell` tells whether a cell is marked as that of the parameters. If that is one without code, `place` is the
    number of code cells above it.
    """
    placed = [(f"cell {number}", cell) for number, cell in enumerate(cells, 1)]
    trees = [(where, open_magics(cell.tree)) for where, cell in placed if cell.tree is not None]
    code = [tree for _, tree in trees]
    parameters, defaults = _declared(cells)
    free = free_names(code)
    imported = _imported(cells)
    takes_config = _takes_config(parameters, free | imported, code)
    if not takes_config:
        parameters += [name for name in sorted(imported) if name not in parameters]
    start: dict[str, Part] = {CONFIG: ()} if takes_config else {name: (name,) for name in [*parameters, *free]}
    trail = follow(trees, start, takes_config)
    ways = [(where, hidden_way(tree, default_config)) for where, tree in trees]
    ways += [(where, "is not Python that can be read") for where, cell in placed if cell.tree is None]
    for trail.where, way in ways:
        if way is not None:
            trail.hide({()}, way)
    names = {name for tree in code for name in names_in(tree)}
    names |= {word for cell in cells if cell.tree is None for word in words_in(_COMMENT.sub("", cell.source))}
    found_defaults = defaults.get(CONFIG) if takes_config else defaults
    return FlowKeys(
        has_cell=has_cell,
        is_python=bool(trees) or not cells,
        takes_config=takes_config,
        parameters=tuple(name for name in parameters if name != CONFIG),
        defaults=found_defaults if isinstance(found_defaults, dict) else {},
        free=tuple(sorted(free - {CONFIG})),
        reads=tuple(sorted(trail.reads)),
        hidden=tuple(sorted(_outermost(trail.hidden).items())),
        names=tuple(sorted(names)),
        imports=tuple(sorted({name for tree in code for name in imports_in(tree)})),
        arrival=_arrival(cells, place, [CONFIG] if takes_config else [*parameters, *free]) if has_cell else Arrival(),
        dates=_dates(cells, takes_config),
    )


def _takes_config(parameters: Sequence[str], others: Set[str], code: Sequence[ast.Module]) -> bool:
    """Whether the parameters cell assigns `config`, or the code expects one that nothing assigns for it.

    `others` are variables that could be given all the same: free ones, and those that the parameters cell imports.
    """
    if CONFIG in {*parameters, *others}:
        return True
    return not parameters and (not others or any(CONFIG in names_in(tree) for tree in code))


def _imported(cells: Sequence[CodeCell]) -> set[str]:
    """The names that the parameters cell takes from modules, as its defaults."""
    bodies = [cell.tree.body for cell in cells if cell.is_parameters and cell.tree is not None]
    found = [statement for body in bodies for statement in body if isinstance(statement, ast.ImportFrom)]
    return {alias.asname or alias.name for statement in found for alias in statement.names} - {"*"}


def _arrival(cells: Sequence[CodeCell], place: int, names: Sequence[str]) -> Arrival:
    """What hinders the values of `names`, which are put in below the parameters cell or, without one, at `place`."""
    marked = next((number for number, cell in enumerate(cells) if cell.is_parameters), None)
    start = place if marked is None else marked + 1
    opened = [None if cell.tree is None else open_magics(cell.tree) for cell in cells]
    below = [
        PlacedCell(f"cell {number}", tree, cell.runs)
        for number, (cell, tree) in enumerate(zip(cells, opened, strict=True), 1)
        if number > start
    ]
    above = [tree for tree in opened[:start] if tree is not None]
    return arrival_of(Below(above, below), None if marked is None else opened[marked], names)


def _declared(cells: Sequence[CodeCell]) -> tuple[list[str], Config]:
    """The names in the parameters cell, and the defaults that are plain JSON."""
    cell = next((cell for cell in cells if cell.is_parameters), None)
    if cell is None:
        return [], {}
    if cell.tree is None:
        return [parameter.name for parameter in list_parameters(cell.source, None)], {}
    return list(assigned_names(cell.tree)), default_values(cell.tree)


def _dates(cells: Sequence[CodeCell], takes_config: bool) -> tuple[str, ...]:
    """The keys, as they are given, of defaults that are dates."""
    cell = next((cell for cell in cells if cell.is_parameters), None)
    found = () if cell is None or cell.tree is None else date_defaults(cell.tree)
    above = f"{CONFIG}." if takes_config else ""
    return tuple(name.removeprefix(above) for name in found if name.startswith(above))


def _outermost(hidden: dict[Part, str]) -> dict[Part, str]:
    """The parts that are not below others that are out of sight."""
    return {
        part: why for part, why in hidden.items() if not any(part[:length] in hidden for length in range(len(part)))
    }

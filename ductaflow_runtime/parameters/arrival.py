"""Whether a value that is given arrives: it is put in right below the parameters cell, and must then be read.

What that cell itself computes, it has computed from its defaults; what a cell below assigns anew is lost.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ductaflow_runtime.parameters import scopes
from ductaflow_runtime.parameters.cell import CONFIG, assigned_names
from ductaflow_runtime.parameters.fate import Below, Fate

_REPLACED = (
    "{where} assigns `{name}` anew before anything reads it, so {what} does not arrive; what that cell assigns "
    "belongs into the cell with the tag `parameters`"
)
_PERHAPS = "{where} may assign `{name}` anew before anything reads it; then {what} does not arrive"
_COMPUTED = (
    "the parameters cell computes `{name}` from its own {source}, before what is given is put in below it; "
    "compute `{name}` in a cell further down"
)
_BESIDE = (
    "the cells read the variable `{name}` of the parameters cell, but this flow is given its parameters in `config`: "
    'write {name} = config["{name}"] below that cell'
)
_UNREAD = "`{name}` stands in the parameters cell, and nothing below that cell reads it"


@dataclass(frozen=True)
class Arrival:
    """What hinders values from arriving.

    `replaced` and `doubted` are variables that are, or may be, assigned anew before they are read, each with the cell.
    `computed` are variables of the parameters cell that are read below it, each with the key that its value comes
    from, or with `None` if any key may be meant. `unread` are those that nothing reads. `beside` are, in a flow that
    takes `config`, the other variables of the parameters cell that are read below, and nowhere assigned from it.
    """

    replaced: tuple[tuple[str, str], ...] = ()
    doubted: tuple[tuple[str, str], ...] = ()
    computed: tuple[tuple[str, str | None], ...] = ()
    unread: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def from_json(stored: dict[str, Any]) -> Arrival:
    """The value whose fields were stored as JSON."""
    return Arrival(
        replaced=tuple(map(tuple, stored["replaced"])),
        doubted=tuple(map(tuple, stored["doubted"])),
        computed=tuple(map(tuple, stored["computed"])),
        unread=tuple(stored["unread"]),
        beside=tuple(stored["beside"]),
    )


def arrival_of(below: Below, cell: ast.Module | None, names: Sequence[str]) -> Arrival:
    """What hinders the values of `names`, which are put in below the parameters cell `cell`."""
    takes_config = CONFIG in names
    fates = {name: below.fate_of(name) for name in names}
    sources = {} if cell is None else _sources_in(cell, takes_config)
    used = {name for name in sources if (fate := below.fate_of(name)) is not None and fate[0] is Fate.READ}
    computed = [(name, source) for name in sorted(used) for source in sorted(sources[name], key=str)]
    assigned = () if cell is None or below.is_opaque else assigned_names(cell)
    unread = [name for name in assigned if not takes_config and not below.speaks_of(name)]
    beside = [name for name in assigned if takes_config and name != CONFIG and not below.assigns(name)]
    return Arrival(
        replaced=_with_fate(Fate.REPLACED, fates),
        doubted=_with_fate(Fate.DOUBTED, fates),
        computed=tuple(computed),
        unread=tuple(name for name in unread if name not in {source for _, source in computed}),
        beside=tuple(name for name in beside if below.fate_of(name) is not None),
    )


def _with_fate(fate: Fate, fates: dict[str, tuple[Fate, str] | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, told[1]) for name, told in sorted(fates.items()) if told is not None and told[0] is fate)


def _sources_in(cell: ast.Module, takes_config: bool) -> dict[str, set[str | None]]:
    """From which keys each variable of the parameters cell is computed, itself left out."""
    own = assigned_names(cell)
    found: dict[str, set[str | None]] = {}
    for statement in cell.body:
        read = set(scopes.reads_at_once(statement))
        direct: set[str | None] = {*_keys_read(statement)} if takes_config else {*read.intersection(own)}
        through = {source for name in read & found.keys() for source in found[name]}
        for name in scopes.bound_names([statement]) & {*own} - {CONFIG}:
            sources = (direct | through) - ({name} if not takes_config else set())
            if sources:
                found.setdefault(name, set()).update(sources)
    return found


def _keys_read(statement: ast.stmt) -> Iterator[str | None]:
    """The keys of `config` that a statement reads; `None` for one that it does not spell out."""
    by_key: set[int] = set()
    for node in ast.walk(statement):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, key = node.func.value, node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and getattr(holder, "id", "") == CONFIG:
            by_key.add(id(holder))
            yield key.value
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    if any(node.id == CONFIG and id(node) not in by_key for node in names):
        yield None


@dataclass(frozen=True)
class Hindrance:
    """A key whose value does not arrive, or, if not `certain`, may not; `text` says why."""

    key: str
    text: str
    certain: bool = False


def hindrances(arrival: Arrival, given: Collection[str], *, known: Set[str], takes_config: bool) -> Iterator[Hindrance]:
    """What hinders the keys that are given; `known` are those that the flow has or reads."""
    if not given:
        return
    first = next(iter(given))
    what = "what is given" if takes_config else "the value that is given"
    put_in = {CONFIG} if takes_config else given
    for found, text in ((arrival.replaced, _REPLACED), (arrival.doubted, _PERHAPS)):
        for name, where in found:
            if name in put_in:
                key = first if takes_config else name
                yield Hindrance(key, text.format(where=where, name=name, what=what), certain=text is _REPLACED)
    told: set[str] = set()
    for name, source in arrival.computed:
        if name not in told and (source is None or source in given) and (takes_config or name not in given):
            told.add(name)
            of_config = CONFIG if source is None else f'{CONFIG}["{source}"]'
            shown = f"`{of_config if takes_config else source}`"
            yield Hindrance(source or first, _COMPUTED.format(name=name, source=shown))
    for name in arrival.beside:
        if name in given and name in known and name not in told:
            yield Hindrance(name, _BESIDE.format(name=name))
    for name in arrival.unread:
        if name in given:
            yield Hindrance(name, _UNREAD.format(name=name))

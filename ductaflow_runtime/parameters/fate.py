"""What becomes of a variable in the cells below the place where its value is put in: read first, or assigned anew.

Here the order of statements counts. Functions read when they are called, so naming one that reads counts as reading.
What cannot be told for sure, such as a name in a text or an `exec`, leaves a doubt.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import Enum

from ductaflow_runtime.parameters import scopes
from ductaflow_runtime.parameters.cell import CONFIG
from ductaflow_runtime.parameters.magics import hidden_way_of
from ductaflow_runtime.parameters.names import CONFIG_FILE, FRAMES, is_shell_call, words_in

_DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "dir"})
_IN_QUERY = re.compile(r"@(\w+)")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LATER = (*_DEFINITIONS, ast.Lambda, ast.ClassDef)


class Fate(Enum):
    """What comes first: the value is read, or surely replaced, or perhaps."""

    READ = "read"
    REPLACED = "replaced"
    DOUBTED = "doubted"


@dataclass(frozen=True)
class PlacedCell:
    """A cell, with words for where it is; `tree` is `None` if it is not Python, `runs` false if it may break off."""

    where: str
    tree: ast.Module | None
    runs: bool = True


@dataclass(frozen=True)
class _Mentions:
    """What a piece of code names: variables that it reads, words in its texts, and whether it may read any."""

    reads: frozenset[str]
    words: frozenset[str]
    is_opaque: bool


class Below:
    """The cells below the place where values are put in, and the code above it, whose functions they may call."""

    def __init__(self, above: Sequence[ast.Module], cells: Sequence[PlacedCell]) -> None:
        self._cells = cells
        self._trees = [cell.tree for cell in cells if cell.tree is not None]
        self._later = [node for tree in above for node in ast.walk(tree) if isinstance(node, _LATER)]
        everything = [*self._later, *(node for tree in self._trees for node in ast.walk(tree))]
        self._functions = [node for node in everything if isinstance(node, _DEFINITIONS) and not node.decorator_list]
        self._known: dict[int, _Mentions] = {}

    @property
    def is_opaque(self) -> bool:
        """Whether these cells may read or assign variables that they do not name."""
        return len(self._trees) < len(self._cells) or any(self._mentions(tree).is_opaque for tree in self._trees)

    def speaks_of(self, name: str) -> bool:
        """Whether the cells, or a function above them, name the variable anywhere."""
        mentions = [self._mentions(node) for node in [*self._later, *self._trees]]
        return any(name in each.reads or name in each.words for each in mentions)

    def assigns(self, name: str) -> bool:
        """Whether anything in the cells, be it a function, binds the name."""
        return any(name in scopes.bound_by(node) for tree in self._trees for node in ast.walk(tree))

    def fate_of(self, name: str) -> tuple[Fate, str] | None:
        """What becomes of a variable's value, and in which cell; `None` if nothing does."""
        readers = self._readers_of(name)
        plain = {id(function) for function in self._functions}
        doubted = any(self.reads([node], readers) for node in self._later if id(node) not in plain)
        for cell in self._cells:
            if cell.tree is None:
                return Fate.READ, cell.where
            found, doubt = _Statements(self, name, readers).first(cell.tree.body)
            doubted |= doubt
            if found is Fate.READ or (found is not None and cell.runs):
                return Fate.DOUBTED if doubted and found is Fate.REPLACED else found, cell.where
        return None

    def _readers_of(self, name: str) -> frozenset[str]:
        """The variable itself, and the functions whose call may read it."""
        readers, before = {name}, 0
        while len(readers) > before:
            before = len(readers)
            readers |= {function.name for function in self._functions if self.reads([function], readers)}
        return frozenset(readers)

    def reads(self, nodes: Sequence[ast.AST], names: Set[str]) -> bool:
        """Whether code reads one of these variables."""
        return any(not self._mentions(node).reads.isdisjoint(names) for node in nodes)

    def leaves_doubt(self, nodes: Sequence[ast.AST], name: str) -> bool:
        """Whether code may read a variable without naming it, or names it in a text."""
        mentions = [self._mentions(node) for node in nodes]
        return any(each.is_opaque or (name != CONFIG and name in each.words) for each in mentions)

    def _mentions(self, node: ast.AST) -> _Mentions:
        if id(node) not in self._known:
            self._known[id(node)] = _mentions_in(node)
        return self._known[id(node)]


def _mentions_in(tree: ast.AST) -> _Mentions:
    reads: set[str] = set()
    words: set[str] = set()
    opaque, own = False, _own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store) and id(node) not in own:
            reads.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.update(words_in(node.value))
            reads.update(_IN_QUERY.findall(node.value))
            reads.update([CONFIG_FILE] if CONFIG_FILE in node.value else ())
        elif isinstance(node, ast.Call) and is_shell_call(node):
            opaque |= hidden_way_of(node) is not None
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            reads.update(word for text in texts if isinstance(text, str) for word in words_in(text))
        elif isinstance(node, ast.Call):
            opaque |= scopes.called_name(node) in _DYNAMIC
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            reads.add(node.target.id)
        opaque |= getattr(node, "attr", None) in FRAMES
        opaque |= isinstance(node, ast.alias) and node.name == scopes.LOADER and node.asname is not None
    return _Mentions(frozenset(reads), frozenset(words), opaque)


def _own_names(tree: ast.AST) -> set[int]:
    """The nodes of names that are a function's or a comprehension's own."""
    found: set[int] = set()
    for node in ast.walk(tree):
        names: Set[str] = frozenset()
        if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            names = scopes.local_names(node)
        elif isinstance(node, scopes.COMPREHENSIONS):
            names = {name for each in node.generators for name in scopes.bound_names([each.target])}
        if names:
            found.update(id(part) for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in names)
    return found


_Found = tuple[Fate | None, bool]  # what decides, and whether something before it leaves a doubt


class _Statements:
    """Goes past statements until one decides."""

    def __init__(self, below: Below, name: str, readers: frozenset[str]) -> None:
        self._below = below
        self._name = name
        self._readers = readers

    def first(self, statements: Sequence[ast.stmt]) -> _Found:
        """What decides of some statements, in their order."""
        doubt = False
        for statement in statements:
            found, more = self._of(statement)
            doubt |= more
            if found is not None:
                return found, doubt
        return None, doubt

    def _of(self, node: ast.stmt) -> _Found:
        if scopes.is_load(node):
            return None, False
        if isinstance(node, _DEFINITIONS):
            return self._definition(node)
        if isinstance(node, ast.ClassDef) or not (hasattr(node, "body") or isinstance(node, ast.Match)):
            return self._simple(node)
        head = [part for part in ast.iter_child_nodes(node) if not isinstance(part, _BODIES)]
        found, doubt = self._read(head)
        if found is not None:
            return found, doubt
        if isinstance(node, (ast.With, ast.AsyncWith)):
            return (Fate.REPLACED, doubt) if self._binds(head) else _after(doubt, self.first(node.body))
        if isinstance(node, (ast.For, ast.AsyncFor)) and self._binds([node.target]):
            return Fate.DOUBTED, doubt
        return _after(doubt, self._branches(node))

    def _branches(self, node: ast.stmt) -> _Found:
        """What the ways through a statement have in common: one that reads decides, and all that assign."""
        past: _Found = (None, False)
        if isinstance(node, (ast.Try, ast.TryStar)):
            ways = [self.first([*node.body, *node.orelse]), *(self.first(each.body) for each in node.handlers)]
            found, doubt = _joined(ways)
            return (found, doubt) if found is not None else _after(doubt, self.first(node.finalbody))
        if isinstance(node, ast.Match):
            guards = [self._read([case.guard]) for case in node.cases if case.guard is not None]
            found, doubt = _joined([past, *guards, *(self.first(case.body) for case in node.cases)])
            return found, doubt or self._binds([case.pattern for case in node.cases])
        ways = [self.first(getattr(node, "body", [])), self.first(getattr(node, "orelse", []))]
        return _joined(ways if isinstance(node, ast.If) else [past, *ways])

    def _definition(self, node: scopes.Function) -> _Found:
        """A function reads when it is called; at once only its defaults, and whatever a decorator makes of it."""
        found, doubt = self._read([node if node.decorator_list else node.args])
        return (Fate.REPLACED, doubt) if found is None and node.name == self._name else (found, doubt)

    def _simple(self, node: ast.stmt) -> _Found:
        found, doubt = self._read([node])
        declares = isinstance(node, ast.AnnAssign) and node.value is None
        if found is not None or declares or not self._binds([node]):
            return found, doubt
        walrus = (part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
        return (Fate.DOUBTED if self._name in walrus else Fate.REPLACED), doubt

    def _read(self, nodes: Sequence[ast.AST]) -> _Found:
        # What the loader of a CLI cell gives, and the instance's own config file holds, is the value itself.
        names = {*self._readers, scopes.LOADER, CONFIG_FILE}
        found = Fate.READ if self._below.reads(nodes, names) else None
        return found, self._below.leaves_doubt(nodes, self._name)

    def _binds(self, nodes: Sequence[ast.AST]) -> bool:
        return self._name in scopes.bound_names(nodes)


_BODIES = (ast.stmt, ast.ExceptHandler, ast.match_case)


def _after(doubt: bool, found: _Found) -> _Found:
    return found[0], doubt or found[1]


def _joined(ways: Sequence[_Found]) -> _Found:
    fates, doubt = {found for found, _ in ways}, any(more for _, more in ways)
    if Fate.READ in fates:
        return Fate.READ, doubt
    if None in fates:
        return None, doubt
    return (Fate.REPLACED if fates == {Fate.REPLACED} else Fate.DOUBTED), doubt

"""The trail of a config through code: which names stand for which of its parts, what is read, what is out of sight."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ductaflow_runtime.parameters.scopes import Function, local_names

Part = tuple[str, ...]  # the keys that lead to it; () is the config itself
Parts = frozenset[Part]

NOTHING: Parts = frozenset()
MODULE = 0
_DEEPEST = 8


@dataclass(frozen=True)
class _Scope:
    owner: int  # id of the syntax node
    names: frozenset[str]
    is_class: bool


@dataclass
class Trail:
    """What is known while code is gone through; it only grows, and `grew` says whether it just did."""

    takes_config: bool
    reads: set[Part] = field(default_factory=set)
    hidden: dict[Part, str] = field(default_factory=dict)
    where: str = ""
    grew: bool = False
    _parts: dict[tuple[int, str], set[Part]] = field(default_factory=dict)
    _returned: dict[int, set[Part]] = field(default_factory=dict)
    _scopes: list[_Scope] = field(default_factory=list)
    _locals: dict[int, frozenset[str]] = field(default_factory=dict)

    def hide(self, parts: Iterable[Part], how: str) -> None:
        """Count parts as out of sight; `{}` in the reason stands for the part."""
        for part in parts:
            if part not in self.hidden:
                self.hidden[part] = f"{self.where} {how.replace('{}', self._label(part))}"
                self.grew = True

    def read(self, parts: Parts, key: str) -> Parts:
        """The parts below these, under a key that is read."""
        deep = {part for part in parts if len(part) >= _DEEPEST}
        self.hide(deep, "walks down {} without end")
        found = frozenset((*part, key) for part in parts - deep)
        self._add(self.reads, found)
        return found

    def owner(self, name: str) -> int:
        """Whose a name is where the code stands: a function's id, or `MODULE`."""
        return next((s.owner for s in reversed(self._scopes) if name in s.names and not s.is_class), MODULE)

    def parts_of(self, name: str) -> Parts:
        """What a name may stand for."""
        return frozenset(self._parts.get((self.owner(name), name), ()))

    def bind(self, name: str, parts: Parts, owner: int | None = None) -> None:
        """Let a name stand for parts, besides what it stands for already."""
        if owner is None and self._scopes and self._scopes[-1].is_class:
            self.hide(parts, "keeps {} in a class")
        elif parts:
            self._add(self._parts.setdefault((self.owner(name) if owner is None else owner, name), set()), parts)

    def give_back(self, function: int, parts: Parts) -> None:
        """Note what a function returns."""
        self._add(self._returned.setdefault(function, set()), parts)

    def returned(self, function: int) -> Parts:
        """What a function may return."""
        return frozenset(self._returned.get(function, ()))

    @contextmanager
    def inside(self, node: Function | ast.Lambda | ast.ClassDef) -> Iterator[None]:
        """Go into a function or class, whose names are its own."""
        if id(node) not in self._locals:
            self._locals[id(node)] = frozenset() if isinstance(node, ast.ClassDef) else local_names(node)
        self._scopes.append(_Scope(id(node), self._locals[id(node)], isinstance(node, ast.ClassDef)))
        yield
        self._scopes.pop()

    def _add(self, known: set[Part], parts: Iterable[Part]) -> None:
        new = set(parts) - known
        if new:
            known |= new
            self.grew = True

    def _label(self, part: Part) -> str:
        if self.takes_config:
            return "config" + "".join(f'["{key}"]' for key in part)
        return part[0] + "".join(f'["{key}"]' for key in part[1:]) if part else "its variables"

"""Puts ES modules into one script: each in a scope of its own that sees what it imports, and nothing else.

It reads the part of the language that the page's modules keep to, and refuses the rest: imports stand at the top
as `import { a, b } from "./other.js";`, and what is exported is a function, a class or a constant that stays what
it was when the module had run. A library, which is a plain script, is imported by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_IMPORT = re.compile(r'^import \{([\w$, \n]*)\} from "(?:\./([\w-]+)\.js|([\w-]+))";[ ]*$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) ([\w$]+)\b)", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*$|\bimport\s*\(", re.MULTILINE)


@dataclass(frozen=True)
class Library:
    """A script that makes one global `name`, which the bundle keeps to those who import it."""

    name: str
    source: str


@dataclass(frozen=True)
class Module:
    """A module's own code, the names it takes from each other module, and those it gives."""

    code: str
    imports: dict[str, list[str]]
    exports: list[str]


def bundle(sources: Mapping[str, str], libraries: Mapping[str, Library], entry: str) -> str:
    """One script that runs module `entry`, and before it each module that it needs, once."""
    modules = {name: parse(name, source) for name, source in sources.items()}
    order = sort_modules(modules, libraries, entry)
    unused = sorted(set(modules) - set(order))
    if unused:
        raise ValueError(f"nobody imports {', '.join(unused)}")
    parts = [_library(name, libraries[name]) for name in sorted(libraries)]
    parts += [_scope(name, modules[name]) for name in order]
    return "(() => {\n" + "\n".join(parts) + "\n})();"


def parse(name: str, source: str) -> Module:
    """What a module imports and exports; raises `ValueError` for a form that is not read."""
    imports: dict[str, list[str]] = {}
    for found in _IMPORT.finditer(source):
        taken = [each.strip() for each in found[1].split(",") if each.strip()]
        other = found[2] or found[3]
        if other in imports:
            raise ValueError(f"{name}: imports twice from {other}")
        imports[other] = taken
    code = _IMPORT.sub("", source)
    exports = [found[1] for found in _EXPORT.finditer(code)]
    code = _EXPORT.sub("", code)
    left = _LEFT.search(code)
    if left:
        raise ValueError(f"{name}: cannot read {left[0]!r}")
    return Module(code.strip("\n"), imports, exports)


def sort_modules(modules: Mapping[str, Module], libraries: Mapping[str, Library], entry: str) -> list[str]:
    """Each module after those that it imports; raises `ValueError` for a circle or a name that is not there."""
    order: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            raise ValueError(f"a circle: {' -> '.join((*way[way.index(name) :], name))}")
        if name in order:
            return
        for other, taken in modules[name].imports.items():
            given = [libraries[other].name] if other in libraries else None
            if given is None and other in modules:
                given = modules[other].exports
                visit(other, (*way, name))
            if given is None:
                raise ValueError(f"{name}: there is no module {other}")
            missing = [each for each in taken if each not in given]
            if missing:
                raise ValueError(f"{name}: {other} does not export {', '.join(missing)}")
        order.append(name)

    visit(entry, ())
    return order


def _variable(name: str) -> str:
    return "$" + name.replace("-", "_")


def _library(name: str, library: Library) -> str:
    return f"const {_variable(name)} = (() => {{\n{library.source}\nreturn {{ {library.name} }};\n}})();"


def _scope(name: str, module: Module) -> str:
    taken = [f"const {{ {', '.join(names)} }} = {_variable(other)};" for other, names in module.imports.items()]
    given = [f"return {{ {', '.join(module.exports)} }};"] if module.exports else []
    body = "\n".join(['"use strict";', *taken, module.code, *given])
    return f"const {_variable(name)} = (() => {{\n{body}\n}})();"

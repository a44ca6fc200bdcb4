"""Holds configs against what is known of a flow: keys that nothing reads, values of another type than the default's."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.values import Config, Json
from ductaflow_runtime.parameters.cell import CONFIG
from ductaflow_runtime.parameters.keys import FlowKeys
from ductaflow_runtime.parameters.modules import ModuleNames
from ductaflow_runtime.parameters.scopes import LOADER
from ductaflow_runtime.parameters.trail import Part

ADVICE = (
    "Correct the name, take the key out (a column: control_df.drop(columns=...)), or have the flow read it. "
    "A column that names the rows is called instance_name. "
    'unknown_keys = "warn" under [tool.ductaflow] in pyproject.toml runs such rows with a warning.'
)
LABELS = (
    "A column that only labels the rows, a note, is left out of what is run and set beside the results afterwards: "
    'results["note"] = control_df["note"].'
)
# Names of the row itself: the runtime reads the first; the second is one where the code has that name too, and where it
# is a text that can be no misspelt key.
_OF_THE_ROW = "instance_name"
_MAYBE_OF_THE_ROW = "instance"
_ALIKE = 0.7
_VERY_ALIKE = 0.8
_MOST_NAMED = 8
_MOST_INSIDE = 3


@dataclass(frozen=True)
class KeyProblem:
    """A key that the flow is not seen to read. `certain`: it cannot read it; else it may, or nobody knows.

    Of an object, `inside` are the dotted keys that were given in it.
    """

    key: str
    certain: bool
    suggestion: str | None = None
    why: str = ""
    inside: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One line: which key, as it was given, what it should have been, and what is known."""
        meant = f"; did you mean `{self.suggestion}`?" if self.suggestion else "."
        more = f" and {len(self.inside) - _MOST_INSIDE} more" if len(self.inside) > _MOST_INSIDE else ""
        names = ", ".join(f"`{each}`" for each in self.inside[:_MOST_INSIDE]) or f"`{self.key}`"
        return f"unknown parameter {names}{more}{meant} {self.why}".rstrip()


class KeyChecks:
    """Holds configs against the keys that a flow reads.

    `known` are configs whose keys count as read: the default that the CLI cell names, and `base_config`. `modules`
    is called once, and only for a key that the flow's own code does not settle.
    """

    def __init__(
        self,
        keys: FlowKeys,
        *,
        known: Sequence[Config] = (),
        modules: Callable[[], ModuleNames] = ModuleNames,
    ) -> None:
        self._keys = keys
        self._names = frozenset(keys.names)
        declared = {part for declared in [keys.defaults, *known] for part in _parts(declared, ())}
        self._known = {*keys.reads, *declared}
        if not keys.takes_config:
            variables = {*keys.parameters, *keys.free}
            self._known = {part for part in self._known if part[0] in variables} | {(name,) for name in variables}
        self._modules = modules
        self._read_modules: ModuleNames | None = None

    @property
    def known(self) -> set[str]:
        """The first keys of what the flow has or reads."""
        return {part[0] for part in self._known if part}

    @property
    def hidden_in_modules(self) -> str | None:
        """How one of the project's modules may get at a flow's config unasked."""
        return self._in_modules().hidden

    def problems(self, config: Config) -> list[KeyProblem]:
        """The keys of `config` that the flow is not seen to read."""
        return list(self._problems((), config))

    def _problems(self, part: Part, config: Config) -> Iterable[KeyProblem]:
        for key, value in config.items():
            here = (*part, key)
            if here in self._known or (not part and self._is_of_the_row(key, value)):
                if isinstance(value, dict) and not self._is_idle(here):
                    yield from self._problems(here, value)
                continue
            problem = self._judge(here, value)
            if problem is not None:
                yield self._within(problem, here, value) if isinstance(value, dict) and value else problem

    def _within(self, problem: KeyProblem, part: Part, section: Config) -> KeyProblem:
        """The same, told by what an object holds; what was meant as well, if the flow reads that of another object."""
        inside = tuple(".".join(each) for each in _leaves(section, part))
        suggestion = problem.suggestion
        if suggestion is not None and len(inside) == 1:
            meant = suggestion + inside[0].removeprefix(problem.key)
            suggestion = meant if tuple(meant.split(".")) in self._known else suggestion
        return replace(problem, inside=inside, suggestion=suggestion)

    def _is_of_the_row(self, key: str, value: Json) -> bool:
        if key != _MAYBE_OF_THE_ROW:
            return key == _OF_THE_ROW
        labels = isinstance(value, str) and self._keys.takes_config and self._suggest((key,), anywhere=False) is None
        return labels or key in self._names

    def _is_idle(self, part: Part) -> bool:
        """Whether nothing reads a variable that the parameters cell declares: then no key in it is a misspelt one."""
        if len(part) > 1 or self._keys.takes_config or isinstance(self._keys.defaults.get(part[0]), dict):
            return False
        return not any(read[0] == part[0] for read in self._keys.reads)

    def _judge(self, part: Part, value: Json) -> KeyProblem | None:
        key, above = part[-1], part[:-1]
        variable = not above and not self._keys.takes_config
        hidden = self._keys.why_hidden(above)
        named = key in self._names
        if not (hidden and named) or variable:
            found = self._in_modules()
            hidden = hidden or found.hidden
            named = named or (key in found.names and not variable)
        dotted = ".".join(part)
        suggestion = self._suggest(part, anywhere=hidden is not None)
        if variable and not hidden:
            return KeyProblem(dotted, True, suggestion, self._why_no_variable(key))
        if not above and key in self._keys.parameters and (not hidden or key in self._keys.arrival.beside):
            why = (
                f"`{key}` is a variable of the parameters cell, but this flow is given its parameters in `config`: "
                f'write {key} = config["{key}"] below that cell, or take `config` out of it.'
            )
            return KeyProblem(dotted, not hidden, suggestion, why)
        if hidden:
            why = f"The flow may use it all the same: {hidden}."
            return None if named and not variable else KeyProblem(dotted, False, suggestion, why)
        if named and not above and self._names.isdisjoint((CONFIG, LOADER)):
            return KeyProblem(dotted, True, suggestion, self._why_no_variable(key))
        if named:
            return KeyProblem(dotted, False, suggestion, "The code has the name, but is not seen to read it there.")
        certain = suggestion is not None or not isinstance(value, dict) or self._resembles(value)
        return KeyProblem(dotted, certain, suggestion, "" if suggestion else self._what_is_read(above))

    def _resembles(self, section: Config) -> bool:
        """Whether an object holds a key like one that the flow reads somewhere; else it may be another step's."""
        known = sorted({key for part in self._known for key in part})
        inside = {key for part in _parts(section, ()) for key in part}
        return any(nearest(key, known, _ALIKE) is not None for key in inside)

    def _why_no_variable(self, key: str) -> str:
        if key in self._names:
            return f"The code has the name, but not in its parameters cell; to set it from outside, assign {key} there."
        return self._what_is_read(())

    def _what_is_read(self, above: Part) -> str:
        names = self._siblings(above)
        if not names:
            return "Nothing in the flow reads it."
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return f"Nothing in the flow reads it; it reads {', '.join(f'`{n}`' for n in names[:_MOST_NAMED])}{more}."

    def _siblings(self, above: Part) -> list[str]:
        return sorted(
            {part[len(above)] for part in self._known if len(part) > len(above) and part[: len(above)] == above}
        )

    def _suggest(self, part: Part, anywhere: bool) -> str | None:
        """The nearest name in the same place, else the same name in another, else one in the code."""
        key, above = part[-1], part[:-1]
        found = nearest(key, self._siblings(above), _ALIKE)
        if found is not None:
            return ".".join((*above, found))
        elsewhere = {part[-1]: ".".join(part) for part in sorted(self._known, reverse=True)}
        found = nearest(key, list(elsewhere), _VERY_ALIKE)
        if found is not None:
            return elsewhere[found]
        names = {*self._names, *self._in_modules().names} if anywhere else set()
        found = nearest(key, sorted(names - {key}), _VERY_ALIKE)
        return None if found is None else ".".join((*above, found))

    def _in_modules(self) -> ModuleNames:
        if self._read_modules is None:
            self._read_modules = self._modules()
        return self._read_modules


def _parts(config: Config, above: Part) -> Iterable[Part]:
    for key, value in config.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _parts(value, (*above, key))


def _leaves(section: Config, above: Part) -> Iterable[Part]:
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def nearest(key: str, names: Sequence[str], alike: float) -> str | None:
    """The name most like a key; case, `_`, `-` and spaces do not count."""
    plain = {_plain(name): name for name in reversed(names)}
    found = difflib.get_close_matches(_plain(key), list(plain), 1, alike)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def shape_of(value: Json) -> object:
    """What the checks look at in a value: its type, and the keys of an object."""
    if isinstance(value, dict):
        return tuple((key, shape_of(item)) for key, item in value.items())
    return type(value)


def type_warnings(defaults: Config, config: Config, above: str = "") -> list[str]:
    """One line for each value whose type is not its default's; any number for a number is fine, and so is null."""
    found = []
    for key, value in config.items():
        default = defaults.get(key)
        was, now = _kind(default), _kind(value)
        if was is None or now is None:
            continue
        if isinstance(default, dict) and isinstance(value, dict):
            found += type_warnings(default, value, f"{above}{key}.")
        elif was != now:
            found.append(f"`{above}{key}` is {now} ({_short(value)}), its default is {was} ({_short(default)})")
    return found


def date_warnings(dates: Collection[str], config: Config) -> list[str]:
    """One line for each value that is given where the default is a date, which no config can hold."""
    given = flatten(config) if dates else {}
    found = ((key, given[key]) for key in dates if given.get(key) is not None)
    return [
        f"`{key}` is {_kind(value)} ({_short(value)}), its default is a date, and dates arrive as text: "
        "have the default be text too, and make it a date below the parameters cell"
        for key, value in found
    ]


def _kind(value: Json) -> str | None:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value))


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

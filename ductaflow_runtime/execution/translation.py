"""A config as variables of another language, by papermill's translators, and what they cannot do.

A value arrives exactly or is refused before anything runs. Papermill writes texts as Python does, which other
languages read otherwise (`\\xe9` is a byte to R and Julia, `$` a variable to Julia), and bash takes a tab for a key.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from ductaflow_runtime.config.secrets import secrets_in
from ductaflow_runtime.config.values import Config, Json
from ductaflow_runtime.flow.code import FlowCode

CONFIG = "config"

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAME_OF_R = re.compile(r"(?:[A-Za-z]|\.(?!\d))[\w.]*", re.ASCII)
_FIXED_IN_BASH = frozenset(("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"))
# Where whole numbers are stored as floating point, and where they have 64 bits.
_LARGEST = {"r": 2**53, "matlab": 2**53, "scala": 2**63, "c#": 2**63, "f#": 2**63, "bash": 2**63}
_PLAIN = re.compile(r"[ -~]*")
# Words by which code reaches variables whose names it does not spell out.
_INDIRECT = frozenset(("eval", "source", "include", "get", "mget", "get0", "exists", "Meta", "declare", "typeset"))


def variables_of(config: Config, code: FlowCode, language: str) -> Config:
    """What is injected: `config` as it is if the parameters cell assigns that, else each key as a variable.

    R has names with dots: `learning.rate` of the parameters cell is given what a column of that name holds.
    """
    if CONFIG in code.assigned:
        return {CONFIG: config}
    variables: Config = {}
    dotted = {name for name in code.assigned if "." in name} if language == "r" else set()
    for name, value in config.items():
        variables |= _without_names(name, value, dotted)
    return variables


def _without_names(name: str, value: Json, dotted: set[str]) -> Config:
    """A value under its name, and those of its parts under theirs that have a variable of their own."""
    if name in dotted or not isinstance(value, dict):
        return {name: value}
    found: Config = {}
    rest: Config = {}
    for key, item in value.items():
        inner = _without_names(f"{name}.{key}", item, dotted)
        own = {each: inner[each] for each in inner if each in dotted}
        found |= own
        if not own or len(own) < len(inner):
            rest[key] = item
    return found | ({name: rest} if rest or not value else {})


def parameter_problems(config: Config, code: FlowCode, kernel: str, language: str) -> list[str]:
    """Why a config cannot be given to a flow of another language; one line each."""
    secrets = [f"{key}: a secret can be given to flows in Python only" for key, _ in secrets_in(config)]
    if secrets:
        return secrets
    variables = variables_of(config, code, language)
    if not variables or variables == {CONFIG: {}}:
        return []
    try:
        translator = _translator(kernel, language)
    except LookupError:
        return [f"papermill cannot write parameters for {language} (kernel {kernel}); only an empty config can be used"]
    found: list[str] = []
    for name, value in variables.items():
        found += [*_name_problems(name, code, language), *_value_problems(name, value, language)]
        try:
            translator({name: value})
        except NotImplementedError:
            found.append(f"{name}: {language} has no {_kind_of(value)} among its parameters; give its parts as keys")
    return found


def unread_keys(config: Config, code: FlowCode, language: str) -> Iterator[tuple[str, str]]:
    """The variables whose names are no word of the code, each with what is known of it."""
    if CONFIG in code.assigned:
        return
    for name in variables_of(config, code, language):
        if name not in code.words:
            alike = difflib.get_close_matches(name, code.assigned or code.words, 1, 0.7)
            known = ", ".join(f"`{each}`" for each in code.assigned[:8]) or "none"
            meant = f"did you mean `{alike[0]}`?" if alike else f"its parameters cell assigns {known}."
            yield name, f"unknown parameter `{name}`; {meant}"


def reads_indirectly(code: FlowCode) -> bool:
    """Whether the code may read variables whose names it does not spell out."""
    return not _INDIRECT.isdisjoint(code.words)


def register_translators() -> None:
    """Let papermill write what arrives as it is; in a process that executes one flow."""
    from papermill.translators import papermill_translators

    for names, translator in _translators():
        for name in names:
            papermill_translators.register(name, translator)


def _translator(kernel: str, language: str) -> Callable[[Config], str]:
    from papermill.exceptions import PapermillException
    from papermill.translators import papermill_translators

    register_translators()
    try:
        found = papermill_translators.find_translator(kernel, language)
    except PapermillException as error:
        raise LookupError(language) from error
    return lambda config: str(found.codify(config))


@cache
def _translators() -> Sequence[tuple[Sequence[str], type]]:
    from papermill import translators as known

    class R(known.RTranslator):  # type: ignore[misc]
        @classmethod
        def translate_str(cls, val: str) -> str:
            return f'"{_escaped(val, _QUOTES)}"'

    class Julia(known.JuliaTranslator):  # type: ignore[misc]
        @classmethod
        def translate_str(cls, val: str) -> str:
            return f'"{_escaped(val, _QUOTES | {"$": chr(92) + "$"})}"'

    class Bash(known.BashTranslator):  # type: ignore[misc]
        @classmethod
        def translate_str(cls, val: str) -> str:
            return shlex.quote(val) if val.isprintable() else f"$'{''.join(map(_in_bash, val))}'"

    scala, matlab = known.ScalaTranslator, known.MatlabTranslator
    return (
        (("r", "R", "ir", "sparkrkernel"), R),
        (("julia",), Julia),
        (("bash",), Bash),
        (("scala",), scala),
        (("matlab",), matlab),
        (("c#",), known.CSharpTranslator),
        (("f#",), known.FSharpTranslator),
        (("powershell", "pwsh"), known.PowershellTranslator),
    )


_QUOTES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escaped(text: str, known: dict[str, str]) -> str:
    """Each character as itself or as an escape that R and Julia read alike."""
    return "".join(known.get(char) or (char if " " <= char <= "~" else _code_point(char)) for char in text)


def _code_point(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _in_bash(char: str) -> str:
    if char.isalnum() or char in " _-./":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def _name_problems(name: str, code: FlowCode, language: str) -> Iterable[str]:
    if language == "julia":
        valid = name.isidentifier()
    else:
        valid = (_NAME_OF_R if language == "r" else _NAME).fullmatch(name) is not None
    if not valid:
        yield f"{name}: this cannot be the name of a variable in {language}; rename the key"
    elif language == "bash" and name in _FIXED_IN_BASH:
        yield f"{name}: bash keeps this variable for itself; rename the key"


def _value_problems(key: str, value: Json, language: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _text_problems(f"{key}.{name}", name, language)
            yield from _value_problems(f"{key}.{name}", item, language)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _value_problems(f"{key}[{number}]", item, language)
    elif isinstance(value, str):
        yield from _text_problems(key, value, language)
    elif type(value) is int and abs(value) > _LARGEST.get(language, abs(value)):
        yield f"{key}: {value} is too large for a whole number in {language}, which would round it; give it as text"


def _text_problems(key: str, text: str, language: str) -> Iterator[str]:
    if "\0" in text and language != "julia":
        yield f"{key}: a text in {language} cannot hold the character NUL"
    elif language not in ("r", "julia", "bash") and not _is_plain(text, language):
        yield f"{key}: papermill cannot write this text exactly in {language} ({text[:40]!r}); use plain characters"


def _is_plain(text: str, language: str) -> bool:
    """Whether a text means the same however a language reads escapes."""
    special = "\\$`" if language in ("powershell", "pwsh") else "\\"
    return _PLAIN.fullmatch(text) is not None and not set(text) & set(special)


def _kind_of(value: Json) -> str:
    if isinstance(value, dict):
        return "objects"
    return "lists with such values" if isinstance(value, list) else "null"

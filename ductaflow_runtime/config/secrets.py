"""Secrets in a config: `{"$env": "NAME"}` stands for the text of an environment variable; the name alone is written.

The process that executes a flow looks the text up. What the flow prints of it is masked: as it is, and in the forms
that libraries give it. A plain key such as `env` is data in many a config; this one is in none by chance.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.values import SECRET_KEY, Config
from ductaflow_runtime.errors import ConfigError

KEY = SECRET_KEY
MASK = "***"
SHORTEST = 4
_SHORTEST_BASE64 = 6
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOTHING = re.compile(r"(?!)")

# The secrets that this process has looked up, name -> text: what shows or stores a value takes no handle.
_known: dict[str, str] = {}


def is_secret(value: object) -> bool:
    """Whether a value stands for a secret."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(KEY), str)


def shape_problems(config: Config) -> Iterator[str]:
    """A line for each place of a config where `$env` stands and that is no secret."""
    for key, found in _marked(config):
        if not (is_secret(found) and key and _NAME.fullmatch(found[KEY])):
            yield (
                f'{key or "config"}: a secret is written {{"{KEY}": "NAME"}}, with the name of an environment variable '
                f"and nothing beside it; data that has a key {KEY} is given as text, for the flow to take apart"
            )


def secrets_in(config: Config) -> Iterator[tuple[str, str]]:
    """The dotted key and the variable's name of each secret of a config."""
    return ((key, found[KEY]) for key, found in _marked(config) if is_secret(found))


def _marked(value: object, key: str = "") -> Iterator[tuple[str, Config]]:
    """Each object of a config that has the key `$env`, with its own dotted key; it is not looked into further."""
    if isinstance(value, dict):
        if KEY in value:
            yield key, value
            return
        for name, item in value.items():
            if isinstance(item, (dict, list)):
                yield from _marked(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _marked(item, f"{key}[{number}]")


def with_stand_ins(value: Any) -> Any:
    """The config with an empty text for each secret: what it looks like to whoever only asks for kinds and keys."""
    return _replaced(value, lambda _: "")


def _replaced(value: Any, text_of: Any) -> Any:
    if isinstance(value, dict):
        if is_secret(value):
            return text_of(value[KEY])
        return {name: _replaced(item, text_of) for name, item in value.items()}
    return [_replaced(item, text_of) for item in value] if isinstance(value, list) else value


def problems_of(config: Config) -> Iterator[str]:
    """A line for each secret of a config that cannot be looked up here."""
    for key, name in secrets_in(config):
        problem = _problem_of(os.environ.get(name))
        if problem:
            yield f"{key}: the environment variable {name} {problem}"


def _problem_of(text: str | None) -> str | None:
    if text is None:
        return "is not set"
    if len(text.strip()) < SHORTEST:
        return f"holds fewer than {SHORTEST} characters, too few to be masked in what the flow prints"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds what is no UTF-8 text"
    return None


def look_up(config: Config) -> None:
    """From here on this process knows the secrets of a config; raises `ConfigError` for those that are not there."""
    problems = list(problems_of(config))
    if problems:
        raise ConfigError("secrets of the config are missing:", problems)
    know(name for _, name in secrets_in(config))


def know(names: Iterable[str]) -> None:
    """From here on this process masks these variables' texts, as far as they are set."""
    _known.update({name: os.environ[name] for name in names if name in os.environ})


def resolved(config: Config) -> Config:
    """The config with the secrets' texts; raises `ConfigError` for a wrong one, or one that is not there."""
    problems = list(shape_problems(config))
    if problems:
        raise ConfigError("the config has secrets that are none:", problems)
    look_up(config)
    changed: Config = _replaced(config, os.environ.__getitem__)
    return changed


class Mask:
    """Takes secrets out of text; without any, it is false and changes nothing."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._forms = sorted({form for text in texts for form in _forms(text)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if self._forms else _NOTHING
        # A secret of several lines is known by each of them, too.
        self._in_line = [form for form in self._forms if "\n" not in form]
        self._longest = max(map(len, self._in_line), default=0)
        self._firsts = {form[0] for form in self._in_line}

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """The text with `***` for each secret."""
        return self._pattern.sub(MASK, text)

    def rest(self, text: str) -> str:
        """The same of a text that may go on within a secret, whose beginning came before it."""
        shown = text.lstrip("\ufffd")  # the rest of a character that was cut in two
        endings = (form[at:] for form in self._forms for at in range(len(form)))
        ending = max((one for one in endings if shown.startswith(one)), key=len, default="")
        return MASK + self.text(shown[len(ending) :]) if ending else self.text(text)

    def value(self, value: Any) -> Any:
        """The same in all texts of a JSON value, keys included; pictures and the like are left as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): item if _is_binary(key) else self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value

    def is_in(self, value: object) -> bool:
        """Whether a secret is in a JSON value's text."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        return bool(self) and self._pattern.search(text) is not None

    def begin(self, text: str) -> tuple[str, str]:
        """The text that can be shown, masked, and what is left at its end: it may be the beginning of a secret."""
        end = 0
        for found in self._pattern.finditer(text):
            end = found.end()
        first = max(end, len(text) - self._longest + 1, text.rfind("\n") + 1)
        places = (at for at in range(first, len(text)) if text[at] in self._firsts and self._may_begin(text[at:]))
        begun = next(places, len(text))
        return self.text(text[:begun]), text[begun:]

    def _may_begin(self, text: str) -> bool:
        return any(form.startswith(text) for form in self._in_line)


class MaskedStreams:
    """Text that comes piece by piece, of several streams: a secret is masked also where it comes in two pieces."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._begun: dict[str, str] = {}

    def feed(self, name: str, text: str) -> str:
        """What can be shown by now."""
        if not self._mask:
            return text
        shown, self._begun[name] = self._mask.begin(self._begun.get(name, "") + text)
        return shown

    def rest(self) -> Mapping[str, str]:
        """What was held back of each stream, once nothing more comes."""
        begun, self._begun = self._begun, {}
        return {name: text for name, text in begun.items() if text}


def mask_of(config: Config) -> Mask:
    """What takes the secrets of a config out of text, as far as this process can look them up."""
    return _mask_of(frozenset(os.environ[name] for _, name in secrets_in(config) if name in os.environ))


def known_mask() -> Mask:
    """What takes the secrets that this process knows out of text."""
    return _mask_of(frozenset(_known.values()))


@functools.lru_cache(maxsize=8)
def _mask_of(texts: frozenset[str]) -> Mask:
    return Mask(texts)


def plain_secrets(config: Config) -> Iterator[str]:
    """A line for each value that holds a secret as text, as a flow may pass it on to another one."""
    mask = known_mask()
    for key, value in flatten(config).items() if mask else ():
        if mask.is_in(key) or mask.is_in(value):
            yield f'{mask.text(key)}: it holds the text of a secret, which would be stored; give {{"{KEY}": "NAME"}}'


def _is_binary(mime: str) -> bool:
    """Whether a key is the type of data that is no text: a change would break it."""
    is_picture = mime.startswith(("image/", "audio/", "video/", "font/")) and not mime.endswith("xml")
    return is_picture or mime == "application/pdf"


def _forms(text: str) -> Iterator[str]:
    """A secret as it is, line by line, and as it looks in code, JSON, HTML, URLs and base64."""
    raw = text.encode("utf-8", "surrogateescape")
    lines = [text, text.strip(), *map(str.strip, text.splitlines())]
    lines += [repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    lines += [html.escape(text), html.escape(text, quote=False)]
    quoted = [quote(raw), quote(raw, safe=""), quote_plus(raw)]
    lines += [*quoted, *(re.sub(r"%..", lambda found: found[0].lower(), each) for each in quoted)]
    yield from (form for form in lines if len(form) >= SHORTEST)
    yield from (form for form in _in_base64(raw) if len(form) >= _SHORTEST_BASE64)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Alone, in lines, and within a longer text, where it may begin at three places of a group."""
    yield from base64.encodebytes(raw).decode().split()
    for altchars in (b"+/", b"-_"):
        yield base64.b64encode(raw, altchars).decode().rstrip("=")
        for before in range(3):
            whole = base64.b64encode(b"\0" * before + raw, altchars).decode()
            yield whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]

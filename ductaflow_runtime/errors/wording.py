"""Values and files as messages speak of them: short, in one line, and whatever they are."""

from __future__ import annotations

import sys

MOST_DIGITS = sys.int_info.default_max_str_digits
TOO_MANY_DIGITS = f"a whole number of more than {MOST_DIGITS} digits; give it as text, such as hex(n)"
_TOO_LONG = 10**MOST_DIGITS
"""Python neither writes nor reads a longer whole number as text, unless told to."""

MOST = 2**53
"""More workers, retries or seconds than anybody means; a float holds every whole number up to it."""

_LIST = "give a list: list(...)"
_WAYS = {
    "dict": "make it a plain dict: dict(...)",
    "set": "give a list: sorted(...)",
    "frozenset": "give a list: sorted(...)",
    "range": _LIST,
    "Series": f"{_LIST}, or dict(...) to keep the names in its index",
    "Index": _LIST,
    "DataFrame": "give the path of a file that holds it",
    "Decimal": "give float(...), or str(...) to keep every digit",
    "Fraction": "give float(...), or str(...)",
    "timedelta": "give a number, such as its seconds: (...).total_seconds()",
    "timedelta64": "give a number, such as its seconds: value / np.timedelta64(1, 's')",
    "time": "give text: (...).isoformat()",
    "Period": "give text: str(...)",
    "bytes": "give text: (...).decode()",
    "longdouble": "give float(...)",
    "complex": "give its parts: [(...).real, (...).imag]",
    "Enum": "give its value: (...).value",
}


def type_name(value: object) -> str:
    """The type of a value as a message names it."""
    if value is None:
        return "None"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def way_to_json(value: object) -> str:
    """What to give in place of a value that JSON has not; empty where nobody can tell."""
    names = [kind.__name__ for kind in type(value).__mro__]
    return next((_WAYS[name] for name in names if name in _WAYS), "")


def brief(value: object) -> str:
    """A value as a message shows it: short, in one line, and whatever it is."""
    try:
        if isinstance(value, int) and is_too_long(value):
            return f"a number of more than {MOST_DIGITS} digits"
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's repr may raise anything
        text = f"repr failed with {type(error).__name__}"
    return shorten_text(printable(" ".join(text.split())))


def shorten_text(text: str) -> str:
    """A text of any length, cut."""
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str) -> str:
    """A text with half characters written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def is_too_long(number: int) -> bool:
    """Whether Python would not write a whole number as text."""
    return not -_TOO_LONG < number < _TOO_LONG


def not_utf8(error: UnicodeDecodeError) -> str:
    """Where a file is no text, and what to do about it."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"cannot be read: it is not UTF-8 text (line {line}); save it with that encoding"

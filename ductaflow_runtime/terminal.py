"""Lines for whoever watches, which never cost anything: a terminal may be gone, full or closed, and is told only text.

What a flow, a config or a file is called may hold the codes that recolour, clear or retitle a terminal.
"""

from __future__ import annotations

import contextlib
import re
import sys

# All control characters but the tab and the end of a line; half a character cannot be printed either.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """A text as a terminal may be given it: control characters and reversed writing as `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def say(text: str) -> None:
    """A line on the standard error stream, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: closed
        if sys.stderr is not None:
            print(shown(text), file=sys.stderr, flush=True)  # noqa: T201

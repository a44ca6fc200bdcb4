"""Lines for whoever watches, which never cost anything: a terminal may be gone, full or closed, and is told only text.

What a flow, a config or a file is called may hold the codes that recolour, clear or retitle a terminal.
"""

from __future__ import annotations

import contextlib
import sys

from ductaflow_runtime.errors import shown


def say(text: str) -> None:
    """A line on the standard error stream, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: closed
        if sys.stderr is not None:
            print(shown(text), file=sys.stderr, flush=True)  # noqa: T201

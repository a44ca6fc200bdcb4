"""Waiting until something is so, instead of for a time that a slow machine does not keep to."""

from __future__ import annotations

import time
from collections.abc import Callable

LAST_CHANCE_S = 600.0


def wait_for(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fail if it never does."""
    until = time.monotonic() + LAST_CHANCE_S
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)

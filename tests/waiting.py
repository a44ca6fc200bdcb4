"""Waiting until something is so, instead of for a time that a slow machine does not keep to."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LAST_CHANCE_S = 600.0


def wait_for(condition: Callable[[], object], by: subprocess.Popen[str] | None = None) -> None:
    """Return as soon as the condition holds; fail if it never does, or the process that should see to it has ended."""
    until = time.monotonic() + LAST_CHANCE_S
    while not condition():
        assert by is None or by.poll() is None or condition(), f"waited for a process that ended with {by.returncode}"
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)

"""Time limits that a flow surely exceeds, and within which it has got somewhere, on any machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ductaflow import FlowError, run_notebook
from tests.conftest import Project

SHORTEST_S = {"fork": 0.5, "spawn": 3.0, "kernel": 5.0}
LONGEST_S = 100.0


def run_out_of_time(project: Project, engine: str, got_there: Callable[[], bool]) -> None:
    """Run `step/x` into a time limit that the error names, a longer one as long as the flow did not get there."""
    limit = SHORTEST_S[engine]
    while True:
        with pytest.raises(FlowError, match=f"timed out after {limit:g} s"):
            run_notebook("flow/step.py", {}, instance_name="x", timeout=limit)
        if got_there():
            return
        limit *= 2
        assert limit < LONGEST_S, "the flow never got there"

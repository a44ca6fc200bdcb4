"""The tests of the runtime, once for each engine."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", params=["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> str:
    """What is promised here holds for each engine."""
    return str(request.param)

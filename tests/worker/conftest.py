"""The tests of workers, once for each engine."""

from __future__ import annotations

import pytest

from tests.conftest import ENGINES


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """What is promised here holds for each engine."""
    return str(request.param)

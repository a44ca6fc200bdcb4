"""One built project for all staleness tests; each test changes a copy of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.staleness.sample import Sample, copy_of

# A kernel takes seconds to start: only where the executing process has a say in what is recorded.
WITH_KERNEL = {"test_bytecode.py", "test_code.py", "test_inputs.py", "test_tracking.py", "test_states.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests on a kernel that could tell nothing more."""
    items[:] = [item for item in items if not _is_needless(item)]


def _is_needless(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    on_kernel = callspec is not None and callspec.params.get("engine") == "kernel"
    return on_kernel and item.path.parent == Path(__file__).parent and item.path.name not in WITH_KERNEL


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """What is promised here holds for each engine."""
    return str(request.param)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Sample:
    """The project, every step executed once."""
    root = tmp_path_factory.mktemp("built") / "project"
    root.mkdir()
    sample = Sample(root, engine)
    sample.fill()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        sample.run_all()
    return sample


@pytest.fixture
def sample(built: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """A copy of the built project that is the working directory."""
    copy = copy_of(built, tmp_path / "project")
    monkeypatch.chdir(copy.root)
    return copy

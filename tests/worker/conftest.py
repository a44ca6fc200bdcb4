"""Packages of the tests' own, installed beside the real ones for one test."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from ductaflow_runtime.worker.pool import pool

# Held while packages change, and by tests that would see that: workers started before are not used after it.
CHANGES = "packages-change.lock"

PACKAGE = "import os\nVALUE = os.environ.get('TINY')\nLOADED_BY = os.getpid()\n"


@pytest.fixture(scope="session")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], AbstractContextManager[None]]:
    """Holds the lock on what is installed, which all test processes share."""

    @contextmanager
    def held(kind: int) -> Iterator[None]:
        base = tmp_path_factory.getbasetemp()
        with open((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / CHANGES, "w") as file:
            fcntl.flock(file, kind)
            yield

    return held


@pytest.fixture
def steady_packages(
    request: pytest.FixtureRequest, changes: Callable[[int], AbstractContextManager[None]]
) -> Iterator[None]:
    """While a test runs that does not install itself, no other test does."""
    with nullcontext() if "install" in request.fixturenames else changes(fcntl.LOCK_SH):
        yield


@contextmanager
def installer(changes: Callable[[int], AbstractContextManager[None]]) -> Iterator[Callable[..., str]]:
    """Installs a module, or a package of several, and gives its name; in the end, all are gone."""
    files: list[Path] = []
    folder = Path(sysconfig.get_path("purelib"))
    state = folder.stat()

    def install(text: str | dict[str, str] = PACKAGE, name: str | None = None) -> str:
        chosen = name or f"tiny_{uuid.uuid4().hex[:12]}"
        with changes(fcntl.LOCK_EX):
            if isinstance(text, str):
                files.append(folder / f"{chosen}.py")
                files[-1].write_text(text, encoding="utf-8")
            else:
                files.append(folder / chosen)
                files[-1].mkdir()
                for part, content in text.items():
                    (files[-1] / f"{part}.py").write_text(content, encoding="utf-8")
            # As if it had been there always, or tests in other processes would lose their warm workers.
            os.utime(folder, ns=(state.st_atime_ns, state.st_mtime_ns))
        importlib.invalidate_caches()
        pool().close()
        return chosen

    yield install
    with changes(fcntl.LOCK_EX):
        for file in files:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        os.utime(folder, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.fixture
def install(changes: Callable[[int], AbstractContextManager[None]]) -> Iterator[Callable[..., str]]:
    """Installs what one test needs."""
    with installer(changes) as install:
        yield install


@pytest.fixture(scope="module")
def install_for_all(changes: Callable[[int], AbstractContextManager[None]]) -> Iterator[Callable[..., str]]:
    """Installs what several tests of a file need, which so lose no warm worker in between."""
    with installer(changes) as install:
        yield install

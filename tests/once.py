"""What is costly to make, and only read by tests, is made once for all processes of a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all processes of this test run have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(folder: Path, fill: Callable[[Path], object]) -> Path:
    """The folder, filled by the first process that asks for it; others wait until it is."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    filled = folder.with_name(f"{folder.name}.filled")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not filled.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a process left that failed at it
            folder.mkdir()
            fill(folder)
            filled.touch()
    return folder

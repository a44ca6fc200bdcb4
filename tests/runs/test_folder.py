"""Folders that several processes make at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ductaflow_runtime.runs.folder import open_below


def test_instances_that_set_results_aside_at_the_same_moment(tmp_path: Path) -> None:
    """The folder that they share is made once, and nobody fails because another was first."""
    together = threading.Barrier(4)

    def make(number: int) -> bool:
        for turn in range(100):
            together.wait(10)
            with open_below(tmp_path, Path(f"previous{turn}", "step"), make=True) as folder:
                assert folder is not None
                folder.make(f"instance{number}")
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(make, range(4), timeout=60))
    assert len(list(tmp_path.glob("*/step/*"))) == 400

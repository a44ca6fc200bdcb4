"""A child that is waited for, whatever it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ductaflow_runtime.execution.assignment import Clock
from ductaflow_runtime.worker.commands import Commands
from ductaflow_runtime.worker.meter import Meter
from ductaflow_runtime.worker.supervise import Limits, Process, Supervision


@pytest.mark.skipif(sys.platform != "linux", reason="needs signals of groups")
def test_one_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """A process that was killed, and waits for a network drive that does not answer, does not keep its worker."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    commands, parent = os.pipe()
    os.close(parent)  # the conductor is gone, so the child is killed at once
    limits = Limits(Clock.start(None), Meter(None, tmp_path), patience=0.1)
    try:
        waiting = Supervision(Process(child.pid, lambda: None), Commands(commands), limits, tmp_path, tmp_path / "mark")
        assert waiting.wait().stuck
    finally:
        os.close(commands)
        child.wait()

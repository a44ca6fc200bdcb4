"""A conductor in a process of its own, and somebody who presses Ctrl-C there."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S

RUNS_ONE = "from ductaflow import run_notebook\nrun_notebook('flow/step.py', {}, instance_name='x')\n"
# Where the tests run in the background of a script, the shell has them ignore SIGINT.
LISTENS = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(
    project: Project, text: str = RUNS_ONE, *, stdout: int | None = None, stderr: int | None = None
) -> subprocess.Popen[str]:
    """Run `conductor.py` with this text: `step/x`, unless told other."""
    script = project.write("conductor.py", LISTENS + text)
    return subprocess.Popen([sys.executable, script], cwd=project.root, stdout=stdout, stderr=stderr, text=True)


def interrupt(conductor: subprocess.Popen[str]) -> str:
    """What a conductor whose `stderr` is a pipe says of Ctrl-C, of which it ends."""
    conductor.send_signal(signal.SIGINT)
    told = conductor.communicate(timeout=LAST_CHANCE_S)[1]
    assert conductor.returncode == -signal.SIGINT, "a shell shows 130"
    return told

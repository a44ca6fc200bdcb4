"""A conductor that is told line by line what to run, so that one start of it serves many trials."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.processes import children

LAST_CHANCE_S = 120.0
SET_FREE = b"sleep"  # what a flow starts and leaves to itself
CONDUCTOR = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import pandas as pd
from ductaflow import run_instances

count = int(sys.argv[1])
names = [f"r{number:03}" for number in range(count)]
open(sys.argv[2], "w").close()
for order in sys.stdin:
    version, frame = order.rstrip().split(" ", 1)
    rows = pd.DataFrame({"instance_name": names, "name": names, "version": int(version), "n": range(count)})
    rows["free"] = (rows["n"] % 4 == 1) & (count < 50)
    open(frame + ".begun", "w").close()
    found = run_instances(rows, "flow/step.py", workers=2, on_error="continue")
    found.reindex(columns=["instance_name", "status", "result.value"]).to_json(frame + ".part", orient="records")
    os.replace(frame + ".part", frame)
"""


class Conductor:
    """Its process, in a trial's folder; `who` tells it from others, and so do the instances that it executes."""

    def __init__(self, folder: Path, count: int, who: str, variables: dict[str, str]) -> None:
        self.ready = folder / "frames" / f"{who}.ready"
        with open(folder / f"{who}.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "conductor.py", str(count), str(self.ready)],
                cwd=folder / "project",
                env={**os.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def order(self, version: int, frame: Path) -> None:
        """Have it run all rows at a version, and leave the frame; `begun` says when it has heard of that."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{version} {frame}\n".encode())
            self._process.stdin.flush()

    def is_at(self, frame: Path) -> bool:
        """Whether it lives, and has not left that frame."""
        return not frame.exists() and self._process.poll() is None

    def wait_for(self, path: Path) -> bool:
        """Whether it leaves a file, as long as it lives and does not hang."""
        until = time.monotonic() + LAST_CHANCE_S
        while self.is_at(path) and time.monotonic() < until:
            time.sleep(0.01)
        return path.exists()

    def kill(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int | None:
        """Its exit code; `None` if it hangs, and is killed."""
        try:
            return self._process.wait(LAST_CHANCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def leave(self) -> int | None:
        """Tell it that nothing more comes; its exit code, `None` if it hangs."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        return self.wait()

    def family(self) -> dict[str, list[int]]:
        """Its processes by what they do, without those that a flow has started."""
        started = _below([self.pid])
        bases = [pid for pid, command in started.items() if b"--base" in command]
        workers = [pid for pid in started if pid not in bases]
        workers += [pid for pid in _below(bases) if _leads(pid, os.getsid)]
        own = [pid for pid, command in _below(workers).items() if SET_FREE not in command]
        executing = [pid for pid in own if _leads(pid, os.getpgid)]
        return {"conductor": [self.pid], "base": bases, "worker": workers, "child": executing}


def _below(pids: Iterable[int]) -> dict[int, list[bytes]]:
    """The processes that these have started, each with its command line, which one that has ended has no more."""
    found = {}
    for child in (child for pid in pids for child in children(pid)):
        with contextlib.suppress(OSError):
            if command := Path(f"/proc/{child}/cmdline").read_bytes():
                found[child] = command.split(b"\0")
    return found


def _leads(pid: int, asked: Callable[[int], int]) -> bool:
    """Whether a process leads the session, or the group, that it is in."""
    with contextlib.suppress(OSError):
        return asked(pid) == pid
    return False

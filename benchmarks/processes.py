"""Runs a command to its end with everything it started, and says what that took."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Finished:
    """What a command printed last, and what it took: seconds, and CPU seconds of all its processes."""

    printed: dict[str, Any]
    wall: float
    cpu: float
    orphans: int


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose parent ended, so that their CPU time counts."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_module(module: str, *arguments: object, cwd: Path, python: str = sys.executable) -> Finished:
    """`python -m module ...` in `cwd`; its last printed line is JSON."""
    return run([python, "-m", module, *map(str, arguments)], cwd)


def run(command: list[str], cwd: Path) -> Finished:
    """The command, and all its descendants, until none is left."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PLOOMBER_STATS_ENABLED": "false"}
    own = set(children(os.getpid()))
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - start
    orphans = _wait_for_orphans(own)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(json.loads(lines[-1]) if lines else {}, wall, cpu, orphans)


def _wait_for_orphans(own: set[int]) -> int:
    """Wait for adopted processes, which are those that are not this one's `own`; gives how many there were."""
    count = 0
    while adopted := set(children(os.getpid())) - own:
        for pid in adopted:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
                count += 1
    return count


def descendants(pid: int) -> Iterator[int]:
    """The live processes below `pid`, parents first."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def children(pid: int) -> Iterator[int]:
    """The live processes that `pid` has started, or been handed."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())


def private_bytes(pid: int) -> int:
    """Memory that this process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def arguments_of(pid: int) -> str:
    """The process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")

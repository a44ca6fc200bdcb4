"""Amounts of memory: as people write them, as processes hold them (Linux), and as the machine has them.

What a process holds is its own data and the memory that it shares with others, in the part that falls to it, what is
swapped out included. Files that are mapped into it do not count: the system takes their memory back when it needs it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from pathlib import Path

LEAST = 10**6
"""The lowest limit, in bytes: no process gets by with less, so a smaller number is one without its unit."""

AMOUNT = 'text such as "2 GB" or "500 MB", or a whole number of bytes, at least 1 MB'
"""What may be given as a limit, in words."""

_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)
_MOST_BYTES = 2**63  # no system counts further
_UNITS = {"b": 1} | {
    f"{letter}{rest}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for rest, base in (("b", 1000), ("ib", 1024))
}
_PROC = Path("/proc")
_MOST = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_PARTS = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
_NO_LIMIT = "max"


def read_amount(value: object) -> int:
    """`"2 GB"`, `"500 MB"`, `"1.5 GiB"` or a whole number of bytes, in bytes; raises `ValueError` for anything else."""
    if type(value) is int:
        found = value
    else:
        match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2].lower() not in _UNITS:
            raise ValueError(value)
        many = float(match[1]) * _UNITS[match[2].lower()]
        found = round(many) if many < _MOST_BYTES else _MOST_BYTES
    if not LEAST <= found < _MOST_BYTES:
        raise ValueError(value)
    return found


def amount(number: int) -> str:
    """A number of bytes in words: `2 GB`, `314 MB`."""
    for power, unit in enumerate(("B", "kB", "MB", "GB")):
        if number < 999.5 * 1000**power:
            return f"{number / 1000**power:.3g} {unit}"
    return f"{number / 1000**4:.4g} TB"


@functools.cache
def can_tell(proc: Path = _PROC) -> bool:
    """Whether the system tells what processes hold, and which ones a process has started."""
    own = proc / "self"
    needed = own / "status", own / "smaps_rollup", own / "task" / str(os.getpid()) / "children"
    return sys.platform == "linux" and all(path.exists() for path in needed)


def limit_problem(limit: int | None, proc: Path = _PROC) -> str | None:
    """Why a limit cannot be kept on this system; `None` if it can, or there is none."""
    if limit is None or can_tell(proc):
        return None
    return (
        f"max_memory = {amount(limit)} cannot be kept on this system ({sys.platform}), which does not tell what "
        "processes hold; it needs Linux with /proc. Leave it out here"
    )


def started_by(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    found: list[int] = []
    asked = [pid]
    while asked:
        children = _children(asked.pop())
        found += children
        asked += children
    return found


def most_held(pid: int) -> int:
    """What a process holds at most, in bytes, as if it shared nothing; quickly told. 0 if it has ended."""
    return sum(_kilobytes(f"/proc/{pid}/status", _MOST)) * 1024


def held(pid: int) -> int:
    """What a process holds, in bytes; this takes the system 25 ms a GB. 0 if it has ended."""
    found = _kilobytes(f"/proc/{pid}/smaps_rollup", _PARTS)
    return sum(found) * 1024 if len(found) == len(_PARTS) else most_held(pid)  # a system older than 2019 has fewer


def machine_memory() -> int | None:
    """What this machine, or the container, has, in bytes; `None` where nobody says."""
    known = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):
        told = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        known += [] if told == _NO_LIMIT else [int(told)]
    return min(known, default=None)


def _children(pid: int) -> list[int]:
    """What the threads of a process have started; a thread or process that ends meanwhile has nothing any more."""
    found: list[int] = []
    tasks = f"{_PROC}/{pid}/task"  # no `Path`, which would take as long as the system does
    with contextlib.suppress(OSError):
        for thread in os.listdir(tasks):
            with contextlib.suppress(OSError), open(f"{tasks}/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def _kilobytes(path: str, names: tuple[bytes, ...]) -> list[int]:
    """The values of some lines of a file in `/proc`; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) for line in lines if line.startswith(names)]

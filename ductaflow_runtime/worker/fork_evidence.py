"""What an import has left in this process that a fork does not survive, found out by looking (Linux).

Threads of the operating system, not only Python's, with the library that each is in; connections, devices and files
that are open; child processes. BLAS pools end themselves before a fork and start again after it, as do Arrow's.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path("/proc/self/task")
_SURVIVES = re.compile(r"openblas|^libarrow[\w]*\.so\.(1[3-9]|[2-9]\d)\d\d$")  # Arrow's since 13
_PASSED_OVER = re.compile(r"^(libc|libpthread|ld-linux|libstdc\+\+|libgcc_s|libm|libdl|libpython|python)[.\d-]|^\[")
_HARMLESS_FILES = frozenset(("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"))
# Opened anew after a fork by the library that has it open: PROJ's database, matplotlib's fonts.
_REOPENED = ("/proj.db", ".ttf", ".otf", ".ttc")
_STACK_BYTES = 16_384
_PATIENCE_S = 0.2


@dataclass(frozen=True)
class Evidence:
    """Thread ids, open descriptors with what they refer to, child processes, and how much has been printed.

    `memory` is what processes that are forked would write to in common: where it begins, and its name. It takes
    milliseconds to look for, so that it is `None` where nobody has.
    """

    threads: frozenset[str]
    handles: frozenset[tuple[str, str]]
    children: frozenset[str]
    memory: frozenset[tuple[str, str]] | None
    printed: int


def look(memory: bool = False) -> Evidence:
    """This process at this moment, with or without its `memory`."""
    threads, handles, children = frozenset(_names(_TASKS)), frozenset(_handles()), frozenset(_children())
    return Evidence(threads, handles, children, frozenset(_common_memory()) if memory else None, _printed())


def left_behind(before: Evidence) -> str | None:
    """Why a fork would not do after what has happened since `before`; `None` if it would."""
    after = _settled(before)
    libraries = [library_of(thread) for thread in sorted(after.threads - before.threads)]
    threads = [library for library in libraries if not _SURVIVES.search(library)]
    if threads:
        known = sorted({library for library in threads if library})
        return f"leaves threads{' of ' + ', '.join(known) if known else ''} behind, which a fork does not survive"
    if after.children - before.children:
        return "leaves a process behind, which a fork does not have as its child"
    opened = {target for _, target in after.handles - before.handles}
    handles = sorted(target for target in opened - _HARMLESS_FILES if not target.endswith(_REOPENED))
    if handles:
        return f"leaves {', '.join(handles[:3])} open, which forks would share"
    if before.memory is not None and not before.memory.issuperset(_common_memory()):
        return "leaves memory behind that forks would share, as locks and arrays for several processes are"
    return "prints something, which each instance should show" if after.printed > before.printed else None


def _settled(before: Evidence) -> Evidence:
    """A thread that is about to end is given a moment to do so."""
    until = time.monotonic() + _PATIENCE_S
    while (after := look()).threads - before.threads and time.monotonic() < until:
        if all(_SURVIVES.search(library_of(thread)) for thread in after.threads - before.threads):
            break
        time.sleep(_PATIENCE_S / 10)
    return after


def library_of(thread: str) -> str:
    """The library whose code a thread executes, found on its stack; empty if that cannot be seen."""
    with contextlib.suppress(OSError, ValueError, IndexError, struct.error):
        told = (_TASKS / thread / "syscall").read_text().split()  # one word while it runs
        stack, address = int(told[-2], 16), int(told[-1], 16)
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            content = os.pread(memory.fileno(), _STACK_BYTES, stack)
        words = struct.unpack(f"<{len(content) // 8}Q", content[: len(content) // 8 * 8])
        code = _code_in_memory()
        for word in (address, *words):
            name = next((name for start, end, name in code if start <= word < end), "")
            if name and not _PASSED_OVER.search(name):
                return name
    return ""


def _code_in_memory() -> list[tuple[int, int, str]]:
    """Where the machine code of each library lies."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and "x" in parts[1]:
            start, _, end = parts[0].partition("-")
            found.append((int(start, 16), int(end, 16), os.path.basename(parts[5])))
    return found


def _common_memory() -> list[tuple[str, str]]:
    found = []
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            if " rw-s " in line[:60] or " -w-s " in line[:60]:
                parts = line.split(maxsplit=5)
                found.append((parts[0].partition("-")[0], parts[5].strip() if len(parts) > 5 else ""))
    return found


def _handles() -> list[tuple[str, str]]:
    found = []
    for descriptor in _names(Path("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the descriptor of this very listing
            found.append((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))
    return found


def _children() -> list[str]:
    found: list[str] = []
    for thread in _names(_TASKS):
        with contextlib.suppress(OSError):
            found += (_TASKS / thread / "children").read_text().split()
    return found


def _printed() -> int:
    """How many bytes this process has printed, where its output goes to a file, as a worker's does."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    return os.fstat(2).st_size


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []

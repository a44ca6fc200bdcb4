"""Where the runtime and a Jupyter kernel meet without ports: those are chosen before they are taken, so that of several
kernels at a time two get the same.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.parameters.languages import PYTHON

# Others are given ports: it is not known whether they can do without.
_WITHOUT_PORTS = frozenset((PYTHON, "r", "julia", "bash"))
_LONGEST = 100  # bytes of a socket's path everywhere, less the number that Jupyter puts after it


@dataclass(frozen=True)
class Meeting:
    """The file that tells a kernel where, and what its sockets are called before their numbers."""

    file: str
    address: str


def meeting_in(folder: Path, language: str) -> Meeting | None:
    """Where to meet a kernel of a language, with the help of a folder; `None` where that takes ports."""
    if os.name != "posix" or language not in _WITHOUT_PORTS:
        return None
    path = str(folder / "kernel-ipc")
    if len(os.fsencode(path)) > _LONGEST:
        if sys.platform != "linux":
            return None
        path = f"@{folder.name}-{os.getpid()}"  # in no folder, so that none is too deep
    return Meeting(str(folder / "kernel-connection.json"), path)

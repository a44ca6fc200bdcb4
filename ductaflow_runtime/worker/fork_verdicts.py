"""Which imports workers leave to the instances, and why: found out once, and remembered beside the results."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import read_json, write_atomically
from ductaflow_runtime.runs.instance import HIDDEN
from ductaflow_runtime.terminal import say

# What cannot be seen from outside, each with its reason.
UNSEEN = {"mpi4py": "starts MPI, which belongs to the one process that started it"}

ANY_PART = ".*"
"""After the name of a package: what is imported of it on the way, of which no more is tried."""


@dataclass
class Verdicts:
    """Names of modules, each with the reason why it is not imported ahead."""

    path: Path
    reasons: dict[str, str] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, path: Path) -> Verdicts:
        """Those found out earlier."""
        with contextlib.suppress(OSError, ValueError):
            known = read_json(path)
            if isinstance(known, dict):
                return cls(path, {name: str(reason) for name, reason in known.items()}, set(known))
        return cls(path)

    def applied(self, job: Job) -> Job:
        """The job without the imports that are left to the instances."""
        if not job.preload and not job.learns:
            return job
        with self._lock:
            avoided = self.reasons | UNSEEN
        for module in UNSEEN:
            if any(is_among(name, [module]) for name in job.preload):
                self._say(module, UNSEEN[module])
        return job.but(preload=[name for name in job.preload if not is_among(name, avoided)], avoid=sorted(avoided))

    def add(self, name: str, reason: str, keep: bool = True) -> None:
        """Say it, and remember it; for this process only, unless `keep`."""
        self._say(name, reason)
        with self._lock:
            if name in self.reasons:
                return
            self.reasons[name] = reason
            if keep:
                with contextlib.suppress(OSError):
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(self.path, json.dumps(self.reasons))

    def _say(self, name: str, reason: str) -> None:
        with self._lock:
            if name in self._said:
                return
            self._said.add(name)
        module = f"parts of {name.removesuffix(ANY_PART)}" if name.endswith(ANY_PART) else name
        text = f"ductaflow: importing {module} {reason}; so each instance imports it itself"
        say(text)


def is_among(name: str, modules: dict[str, str] | list[str]) -> bool:
    """Whether an import is of one of the modules, or of a part of it."""
    name = name.replace(":", ".")
    known = [module.replace(":", ".") for module in modules]  # verdicts of earlier versions name a part after a colon
    return any(name == module or name.startswith(module.removesuffix(ANY_PART) + ".") for module in known)


# Global, for what one sweep has found out serves the next in this process, on a read-only share as well.
_known: dict[Path, Verdicts] = {}
_known_lock = threading.Lock()


def verdicts_for(job: Job, installed: str) -> Verdicts:
    """The verdicts on the packages that are installed, told from others by `installed`."""
    path = Path(job.runs_dir, HIDDEN, "imports", f"{installed[:24]}.json")
    with _known_lock:
        known = _known.get(path)
        if known is None:
            known = _known[path] = Verdicts.read(path)
        return known

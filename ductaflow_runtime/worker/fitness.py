"""Which warm worker is fit for a job, and what must be as it was when that one was started."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import site
import sys
from collections.abc import Iterable

from ductaflow_runtime.execution.job import Job

Key = tuple[str, int, tuple[str, ...], bool, tuple[str, ...]]


def forks(job: Job) -> bool:
    """Whether instances of such a job are forked from a process that has imported ahead."""
    return job.engine == "fork" and job.kernel_name is None and hasattr(os, "fork")


def worker_key(job: Job) -> Key:
    """What makes a warm worker fit for a job: the same variables, packages, threads, imports and shared cells."""
    text = json.dumps([sorted(os.environ.items()), installed_state()])
    about = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    if not forks(job):
        return about, job.threads, (), False, ()
    shared = (job.root, job.runs_dir, job.flow, job.shared) if job.shared else ()
    return about, job.threads, tuple(job.preload), job.learns, shared


def installed_state() -> str:
    """Tells this interpreter and what is installed for it from what it was before."""
    own = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if site.ENABLE_USER_SITE:
        own.append(site.getusersitepackages())
    # Not all that comes and goes in people's own folders is a package.
    packages = [names for folder, time in _mtimes(own) if (names := _packages_in(folder, time))]
    text = json.dumps([_mtimes([*site.getsitepackages(), sys.prefix]), sys.executable, sys.version, *packages])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _mtimes(folders: Iterable[str]) -> list[tuple[str, int]]:
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            found.append((folder, os.stat(folder).st_mtime_ns))
    return found


@functools.lru_cache(maxsize=64)
def _packages_in(folder: str, _mtime_ns: int) -> tuple[str, ...]:
    """The names, with the versions in them, of what was installed into a folder."""
    try:
        return tuple(sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))))
    except OSError:
        return ()

"""One worker process as its parent holds it: how it is started, told what to do, and ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import WorkerError
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import NOT_BEGUN, describe_exit
from ductaflow_runtime.worker.commands import INTERRUPT
from ductaflow_runtime.worker.journal import FILE_NAME

NOTE = "importing"  # in a worker's scratch folder, what it imports at this moment
Key = tuple[str, int, tuple[str, ...], bool]
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


class Worker:
    """One worker process and the pipe to it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        self._scratch = Path(tempfile.mkdtemp(prefix="ductaflow-"))
        self._lock = threading.Lock()
        self._stopped = False
        self.is_fit = False
        self.journal = self._scratch / FILE_NAME
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ductaflow_runtime.worker", str(self._scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=variables,
            cwd=tempfile.gettempdir(),
            # A session of its own: Ctrl-C is for the parent, which then tells its workers, and nobody
            # answers a flow that asks for a password on the terminal.
            start_new_session=True,
        )

    def run(self, job: Job) -> dict[str, Any]:
        """Have a job done; raises `WorkerError` if the worker breaks off. Afterwards `is_fit` says if it can go on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with self._lock:
                if self._stopped:
                    raise WorkerError(NOT_BEGUN)
                self._process.stdin.write((job.to_json() + "\n").encode())
                self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._how_it_ended()) from None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._how_it_ended())
        reply: dict[str, Any] = json.loads(line)
        self.is_fit = "unfit" not in reply
        return reply

    def importing(self) -> str | None:
        """What it was importing ahead when it ended."""
        try:
            return (self._scratch / NOTE).read_text(encoding="utf-8") or None
        except OSError:
            return None

    def exit_code(self) -> int:
        """How it ended, negative for a signal."""
        return self._process.wait()

    def has_begun(self) -> bool:
        """Whether it got as far as the folder of the instance that it was given last."""
        return self.journal.is_file() and self.journal.stat().st_size > 0

    def make_ready(self) -> None:
        """What came of an earlier job is over."""
        self._stopped = self.is_fit = False
        self.journal.write_bytes(b"")

    def interrupt(self) -> None:
        """Interrupt what it is executing, or keep it from beginning."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stopped = True
            assert self._process.stdin is not None
            self._process.stdin.write(f"{INTERRUPT}\n".encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """End the process and whatever it is executing."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._complaints.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip()[-2000:]
        return f"the worker broke off: {describe_exit(code)}" + (f":\n{said}" if said else "")


def worker_variables(threads: int) -> dict[str, str]:
    """The environment variables of a worker: the parent's, with the libraries' thread pools sized to its share."""
    variables = dict(os.environ)
    for name in _THREAD_VARIABLES:
        variables.setdefault(name, str(threads))
    return variables


def worker_key(job: Job) -> Key:
    """What makes a warm worker fit for a job: the same variables, installed packages, threads, and imports ahead."""
    text = json.dumps([sorted(os.environ.items()), installed_state()])
    about = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    if job.engine != "fork" or job.kernel_name is not None:
        return about, job.threads, (), False
    return about, job.threads, tuple(job.preload), job.learns


def installed_state() -> str:
    """Tells this interpreter and what is installed for it from what it was before."""
    installed = []
    for folder in [*site.getsitepackages(), sys.prefix]:
        with contextlib.suppress(OSError):
            installed.append((folder, os.stat(folder).st_mtime_ns))
    text = json.dumps([installed, sys.executable, sys.version])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

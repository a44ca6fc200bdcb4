"""The parent's side: warm worker processes, and the one function that has an instance executed.

`run_job` is what every scheduler sees, ours or any `concurrent.futures.Executor`: it takes a job, finds an
idle worker in this process or starts one, and gives the record. Workers stay warm between calls and
end with this process, because their standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import site
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any

from ductaflow_runtime.errors import DuctaflowError, FlowFileError, InstanceBusyError, WorkerError
from ductaflow_runtime.ledger import Job, previous_folder
from ductaflow_runtime.record import Record, Status, read_record

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
_REASONS: dict[str, type[DuctaflowError]] = {
    "InstanceBusyError": InstanceBusyError,
    "FlowFileError": FlowFileError,
}


Key = tuple[str, int]


class Worker:
    """One worker process and the pipe to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ductaflow_runtime.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment,
            cwd=tempfile.gettempdir(),
            # A group of its own: Ctrl-C is for the parent, which then tells its workers.
            process_group=0 if os.name == "posix" else None,
        )

    def run(self, job: Job) -> dict[str, Any]:
        """Have a job done; raises `WorkerError` if the worker breaks off."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write((job.to_json() + "\n").encode())
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._epitaph()) from None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._epitaph())
        reply: dict[str, Any] = json.loads(line)
        return reply

    def interrupt(self) -> None:
        """Interrupt what it is executing."""
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(b"interrupt\n")
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

    def _epitaph(self) -> str:
        code = self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip()[-2000:]
        return f"a worker process ended with exit code {code}" + (f":\n{said}" if said else "")


@dataclass
class Pool:
    """The warm workers of this process."""

    idle: dict[Key, list[Worker]] = field(default_factory=dict)
    busy: dict[Worker, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int = field(default_factory=os.getpid)

    def take(self, key: Key, environment: dict[str, str]) -> tuple[Worker, int]:
        """An idle worker of the right kind, or a new one; and its lane, the smallest number not in use."""
        with self.lock:
            outdated = [other for other in self.idle if other[0] != key[0]]
            stale = [worker for other in outdated for worker in self.idle.pop(other)]
            known = self.idle.get(key)
            worker = known.pop() if known else None
        for old in stale:
            old.close()
        worker = worker or Worker(environment)
        with self.lock:
            lane = min(set(range(len(self.busy) + 1)) - set(self.busy.values()))
            self.busy[worker] = lane
        return worker, lane

    def give_back(self, worker: Worker, key: Key, usable: bool) -> None:
        """Keep the worker for later, as long as there are not more than the machine has use for."""
        with self.lock:
            self.busy.pop(worker, None)
            known = self.idle.setdefault(key, [])
            keep = usable and len(known) < 2 * cpu_count()
            if keep:
                known.append(worker)
        if not keep:
            worker.close()

    def interrupt(self) -> None:
        """Interrupt all that is executing."""
        with self.lock:
            workers = list(self.busy)
        for worker in workers:
            worker.interrupt()

    def close(self) -> None:
        """End all idle workers."""
        with self.lock:
            workers = [worker for workers in self.idle.values() for worker in workers]
            self.idle = {}
        for worker in workers:
            worker.close()


_pool = Pool()


def pool() -> Pool:
    """The pool of this process; one forked from it starts its own."""
    global _pool
    if _pool.owner != os.getpid():
        _pool = Pool()
    return _pool


@atexit.register
def _close() -> None:
    if _pool.owner == os.getpid():
        _pool.close()


def cpu_count() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def worker_environment(threads: int) -> dict[str, str]:
    """The environment of a worker: the parent's, with the libraries' thread pools sized to its share."""
    environment = dict(os.environ)
    for name in _THREAD_VARIABLES:
        environment.setdefault(name, str(threads))
    return environment


def worker_key(environment: dict[str, str], threads: int) -> Key:
    """What makes a warm worker fit to serve: the same environment, installed packages and number of threads."""
    installed = []
    for folder in [*site.getsitepackages(), sys.prefix]:
        with contextlib.suppress(OSError):
            installed.append((folder, os.stat(folder).st_mtime_ns))
    text = json.dumps([sorted(environment.items()), installed, sys.executable])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(), threads


def run_job(job: Job) -> Record:
    """Have one instance executed and give its record; whatever happens ends in a record or an error."""
    environment = worker_environment(job.threads)
    key = worker_key(dict(os.environ), job.threads)
    workers = pool()
    worker, lane = workers.take(key, environment)
    usable = False
    try:
        job.environment["worker"] = lane
        reply = worker.run(job)
        usable = True
    except WorkerError as error:
        return _without_worker(job, error)
    finally:
        workers.give_back(worker, key, usable)
    return _record_of(job, reply.get("fatal"))


def _record_of(job: Job, fatal: dict[str, Any] | None) -> Record:
    if fatal is not None:
        raise _REASONS.get(fatal["type"], WorkerError)(
            f"{job.step}/{job.name} could not be executed: {fatal['type']}: {fatal['message']}"
        )
    record = read_record(job.instance.directory)
    if record is None:
        raise WorkerError(f"{job.instance.directory} holds no record after the execution; was it deleted?")
    kept = previous_folder(job.instance)
    return record.but(previous=kept if record.status is not Status.DONE and kept.is_dir() else None)


def _without_worker(job: Job, error: WorkerError) -> Record:
    """The worker itself died, and with it perhaps the record of what it was doing."""
    from pathlib import Path

    from ductaflow_runtime.aftermath import speak_for, unfinished

    if unfinished(job) is None:
        raise error
    cause = {"type": "Died", "message": str(error), "cell": None, "traceback": None}
    return speak_for(job, Path(os.devnull), Status.FAILED, cause, {})

"""A base process as the conductor holds it: asked for workers that start with all that it has imported."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from ductaflow_runtime.errors import WorkerError
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import hash_file, hash_names, is_recent, stat_file
from ductaflow_runtime.runs.failure import describe_exit
from ductaflow_runtime.worker.commands import END
from ductaflow_runtime.worker.process import (
    BrokenOffError,
    Ends,
    Life,
    RefusedAheadError,
    Traces,
    UnfitError,
    Worker,
    start_fresh,
    start_process,
)

_UNKNOWN = -signal.SIGKILL  # how a worker ended whose base is gone: nobody else can tell


@functools.cache
def has_bases() -> bool:
    """Whether workers can be forks: the system must tell of a process by a descriptor, for its id may be another's."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return False
    return True


class BaseProcess:
    """One base process and the socket to it.

    `users` is how many of its workers are at work, or asked for, `begun` when it began to load what its flow needs.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        self.users = 0
        self.begun = time.monotonic()
        self._failure: Exception | None = None
        self._needs: dict[str, Any] = {}  # what its shared cells depend on
        self._is_bare = False  # known to have loaded nothing but the runtime
        self.variables = variables
        self._traces = Traces()
        self._lock = threading.Lock()
        self._said = b""  # and nobody has heard yet
        self._channel, theirs = socket.socketpair()
        with theirs, open(os.devnull, "wb") as null:
            arguments = ["--base", str(self._traces.scratch)]
            complaints = self._traces.complaints.fileno()
            self._process = start_process(arguments, theirs.fileno(), null.fileno(), complaints, variables)

    @property
    def is_sound(self) -> bool:
        """Whether it can make more workers."""
        return self._failure is None and self._process.poll() is None

    def is_fit(self, since: float, forced: bool) -> bool:
        """Whether it is sound, and what its shared cells have read, and their code, are as they were.

        `since` is when the call began that asks, which may be `forced`: then nothing counts that was loaded before.
        So it is with what its shared cells failed for, or got from another program, which nobody can compare.
        """
        files, folders = self._needs.get("files", {}), self._needs.get("folders", {})
        passing = (forced and not self._is_bare) or self._needs.get("failed") or self._needs.get("connected")
        return (
            self.is_sound
            and not (passing and self.begun < since)
            and all(self._is_as_told(path, told) for path, told in files.items())
            and all(hash_names(path) == told for path, told in folders.items())
        )

    def _is_as_told(self, path: str, told: list[Any] | None) -> bool:
        """Whether a file is as it was; by its bytes, as long as size and time do not tell."""
        found = stat_file(path)
        if found is None or told is None:
            return found is None and told is None
        if [found.size, found.mtime_ns] != told[:2]:
            return False
        if len(told) > 2:
            settled = not is_recent(found.mtime_ns)
            try:
                if hash_file(path) != told[2]:
                    return False
            except OSError:
                return False
            if settled:
                self._needs["files"][path] = told[:2]
        return True

    def make_worker(self, job: Job) -> Worker:
        """A worker for such jobs; raises `UnfitError`, `RefusedAheadError`, `BrokenOffError` and `WorkerError`."""
        return Worker(functools.partial(self._start, job))

    def interrupt(self) -> None:
        """Whoever waits for a worker waits no longer."""
        if self._lock.locked():
            self._process.kill()

    def end(self) -> None:
        """Tell the process to end, and do not wait for it."""
        with contextlib.suppress(OSError):
            self._channel.sendall((json.dumps({END: True}) + "\n").encode())
        self._channel.close()

    def close(self) -> None:
        """End the process; its workers have been ended, or are left to themselves."""
        self.end()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._traces.clear()

    def discard(self) -> None:
        """End the process, which has made no worker, whatever it is loading."""
        self._process.kill()
        self.close()

    def end_of(self, pid: int) -> int:
        """How a worker ended, negative for a signal."""
        with contextlib.suppress(OSError, ValueError), self._lock:
            code = (self._ask({"ended": pid}) or {}).get("code")
            return _UNKNOWN if code is None else int(code)
        return _UNKNOWN

    def _start(self, job: Job, ends: Ends) -> Life:
        with self._lock:
            try:
                reply = self._request(job, ends)
            except (UnfitError, RefusedAheadError, BrokenOffError) as error:
                self._failure = error
                raise
        return ForkedWorker(self, reply["pid"]) if "pid" in reply else start_fresh(ends, self.variables)

    def _request(self, job: Job, ends: Ends) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure  # to another who has waited for it meanwhile
        request = {"job": vars(job), "scratch": str(ends.scratch)}
        reply = self._ask(request, ends.commands, ends.replies, ends.complaints)
        if reply is not None and "begun" in reply:
            reply = self._answer_within(job.timeout)
        if reply is None:
            raise self._traces.of_end(self._process.wait())
        if "unfit" in reply:
            raise UnfitError(**reply["unfit"])
        if "refused" in reply:
            raise RefusedAheadError(reply["refused"])
        self._is_bare = bool(reply.get("bare"))
        if "failed" in reply:
            raise WorkerError(reply["failed"])
        if not self._needs:
            self._needs = reply.get("needs") or {}
        return reply

    def _answer_within(self, limit: float | None) -> dict[str, Any]:
        """What comes of the shared cells; they have as much time as an instance, in seconds."""
        self._channel.settimeout(limit)
        try:
            reply = self._answer()
        except TimeoutError:
            self._process.kill()
            raise RefusedAheadError(f"takes longer than the time limit of {limit:g} s") from None
        finally:
            self._channel.settimeout(None)
        if reply is None:
            raise RefusedAheadError(f"ends badly ({describe_exit(self._process.wait())})")
        return reply

    def _ask(self, request: dict[str, Any], *descriptors: int) -> dict[str, Any] | None:
        """The first answer to a request; `None` from a base that has ended."""
        data = (json.dumps(request) + "\n").encode()
        try:
            sent = socket.send_fds(self._channel, [data], descriptors)
            self._channel.sendall(data[sent:])
        except OSError:
            return None
        return self._answer()

    def _answer(self) -> dict[str, Any] | None:
        """The next line that the base says."""
        while b"\n" not in self._said:
            try:
                more = self._channel.recv(1 << 16)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply


class ForkedWorker:
    """A worker that a base has forked: the base is told how it ended, this process only that it did."""

    def __init__(self, base: BaseProcess, pid: int) -> None:
        self._base = base
        self._pid = pid
        self._handle = os.pidfd_open(pid)
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raises `subprocess.TimeoutExpired`."""
        if self._code is None:
            end = select.poll()
            end.register(self._handle, select.POLLIN)
            if not end.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            os.close(self._handle)
            self._code = self._base.end_of(self._pid)
        return self._code

    def kill(self) -> None:
        """End it."""
        if self._code is None:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

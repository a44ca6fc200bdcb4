"""A base process as the conductor holds it: asked for workers that start with all that it has imported."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from typing import Any

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.worker.process import (
    BrokenOffError,
    Ends,
    Life,
    Traces,
    UnfitError,
    Worker,
    start_fresh,
    start_process,
)

# A fork that the system can be asked about by a descriptor, not by an id that another process may have by then.
HAS_BASES = sys.platform == "linux" and hasattr(os, "pidfd_open")
_UNKNOWN = -signal.SIGKILL  # how a worker ended whose base is gone: nobody else can tell


class BaseProcess:
    """One base process and the socket to it.

    `users` is how many of its workers are at work, or asked for.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        self.users = 0
        self._sound = True
        self._variables = variables
        self._traces = Traces()
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair()
        with theirs, open(os.devnull, "wb") as null:
            arguments = ["--base", str(self._traces.scratch)]
            complaints = self._traces.complaints.fileno()
            self._process = start_process(arguments, theirs.fileno(), null.fileno(), complaints, variables)

    @property
    def is_fit(self) -> bool:
        """Whether it can make more workers."""
        return self._sound and self._process.poll() is None

    def make_worker(self, job: Job) -> Worker:
        """A worker for such jobs; raises `UnfitError` and `BrokenOffError`."""
        try:
            return Worker(partial(self._start, job))
        except (UnfitError, BrokenOffError):
            self._sound = False
            raise

    def interrupt(self) -> None:
        """Whoever waits for a worker waits no longer."""
        if self._lock.locked():
            self._process.kill()

    def close(self) -> None:
        """End the process; its workers have been ended, or are left to themselves."""
        self._channel.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._traces.clear()

    def end_of(self, pid: int) -> int:
        """How a worker ended, negative for a signal."""
        with contextlib.suppress(OSError, ValueError), self._lock:
            code = (self._ask({"ended": pid}) or {}).get("code")
            return _UNKNOWN if code is None else int(code)
        return _UNKNOWN

    def _start(self, job: Job, ends: Ends) -> Life:
        request = {"job": vars(job), "scratch": str(ends.scratch)}
        with self._lock:
            try:
                reply = self._ask(request, ends.commands, ends.replies, ends.complaints)
            except OSError:
                reply = None
        if reply is None:
            raise self._traces.of_end(self._process.wait())
        if "unfit" in reply:
            raise UnfitError(*reply["unfit"])
        return ForkedWorker(self, reply["pid"]) if "pid" in reply else start_fresh(ends, self._variables)

    def _ask(self, request: dict[str, Any], *descriptors: int) -> dict[str, Any] | None:
        """The answer to a request; `None` from a base that has ended."""
        data = (json.dumps(request) + "\n").encode()
        sent = socket.send_fds(self._channel, [data], descriptors)
        self._channel.sendall(data[sent:])
        answer = b""
        while not answer.endswith(b"\n"):
            more = self._channel.recv(1 << 16)
            if not more:
                return None
            answer += more
        reply: dict[str, Any] = json.loads(answer)
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

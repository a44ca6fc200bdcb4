"""A base process: it imports once what all workers of a flow need, and forks them, so that they share its memory.

It also executes the flow's shared cells, once.
It answers one request a line, on a socket that brings a new worker's pipes along. It ends when that socket does; its
workers do not end with it, for each knows the conductor.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import shutil
import socket
import threading
import traceback
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import WorkerError
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.shared import RefusedError, execute_shared
from ductaflow_runtime.worker.commands import END, Commands
from ductaflow_runtime.worker.fork_evidence import left_behind, look
from ductaflow_runtime.worker.preload import Preloader
from ductaflow_runtime.worker.process import NOTE, UnfitError, starting_a_process
from ductaflow_runtime.worker.server import Server
from ductaflow_runtime.worker.supervise import end_children
from ductaflow_runtime.worker.watcher import ending_with, inherit_orphans, leave

_PIPES = 3  # commands, replies, and what a worker complains of


class Base:
    """A base at work: the socket to the conductor, its scratch folder, and what it has imported."""

    def __init__(self, scratch: Path, descriptor: int, parent: int | None) -> None:
        self._scratch = scratch
        self._channel = socket.socket(fileno=descriptor)
        self._parent = parent
        self._preloader = Preloader(scratch / NOTE)
        self._needs: dict[str, Any] | None = None  # what the shared cells depend on, once they are executed
        self._workers: set[int] = set()
        self._is_warm = False

    def run(self) -> None:
        """One request after the other, until the conductor is gone."""
        inherit_orphans()
        while (received := self._next_request()) is not None:
            request, pipes = received
            if END in request:
                return
            reply = self._end_of(request["ended"]) if "ended" in request else self._fork(request, pipes)
            for descriptor in pipes:
                os.close(descriptor)
            self._tell(reply)

    def _tell(self, reply: dict[str, Any]) -> None:
        self._channel.sendall((json.dumps(reply) + "\n").encode())

    def _next_request(self) -> tuple[dict[str, Any], list[int]] | None:
        data, pipes = b"", list[int]()
        while not data.endswith(b"\n"):
            watched = [self._channel.fileno(), *([] if self._parent is None else [self._parent])]
            ready, _, _ = select.select(watched, [], [])
            if self._channel.fileno() not in ready:
                return None  # the conductor is dead, and another process of its keeps the socket open
            more, descriptors, _, _ = socket.recv_fds(self._channel, 1 << 16, _PIPES)
            pipes += descriptors
            if not more:
                return None
            data += more
        return json.loads(data), pipes

    def _fork(self, request: dict[str, Any], pipes: list[int]) -> dict[str, Any]:
        """A worker that starts with all that this process has imported."""
        job = Job(**request["job"])
        try:
            with contextlib.nullcontext() if self._is_warm else self._ending_with_conductor():
                self._preloader.warm_up(job)
            self._is_warm = True
            if job.shared and self._needs is None:
                self._execute_shared(job)
        except UnfitError as error:
            return {"unfit": error.told()}
        except RefusedError as error:
            return {"refused": str(error)}
        if threading.active_count() != 1:  # a thread that nobody saw begin: no fork after that
            return {"alone": True}
        gc.freeze()
        try:
            with starting_a_process():
                pid = os.fork()
        except WorkerError as error:
            return {"failed": str(error)}
        if not pid:
            self._become_worker(Path(request["scratch"]), *pipes)
        self._workers.add(pid)
        bare = self._needs is None and not self._preloader.has_loaded
        return {"pid": pid, "needs": self._needs, "bare": bare}

    def _end_of(self, pid: int) -> dict[str, Any]:
        """How a worker ended, negative for a signal; waits for it, and ends what a killed one could not."""
        self._workers.discard(pid)
        code = None
        with contextlib.suppress(ChildProcessError):
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            end_children(besides=self._workers)
        return {"code": code}

    def _execute_shared(self, job: Job) -> None:
        """Have the shared cells executed here; raises `RefusedError` if they are nothing to fork instances after."""
        self._tell({"begun": True})
        before = look(memory=True)
        try:
            with self._ending_with_conductor():
                needs = execute_shared(job, self._scratch)
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError(f"ahead did not work ({type(error).__name__}: {error})") from error
        reason = left_behind(before)
        if reason is not None:
            raise RefusedError(reason)
        self._preloader.keep_loaded()
        self._needs = needs

    def _ending_with_conductor(self) -> contextlib.AbstractContextManager[None]:
        """While this process hears nothing, whatever it computes."""
        return ending_with(self._parent, self._scratch, [self._channel.fileno()])

    def _become_worker(self, scratch: Path, commands: int, replies: int, complaints: int) -> None:
        """The worker's whole life; it never returns."""
        code = 1
        try:
            os.setsid()
            self._channel.close()
            for descriptor in (1, 2):
                os.dup2(complaints, descriptor)
            os.close(complaints)
            inherit_orphans()
            self._preloader.note = scratch / NOTE
            Server(scratch, Commands(commands, self._parent), replies, self._preloader).run()
            code = 0
        except SystemExit:
            code = 0
        except BaseException:  # noqa: BLE001 - it is told as Python would tell it, and goes no further
            traceback.print_exc()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)  # if the conductor was killed, nobody else does
            leave(code)

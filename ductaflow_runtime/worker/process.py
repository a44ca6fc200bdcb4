"""One worker process as the conductor holds it: how it is started, told what to do, and ended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ductaflow_runtime.errors import WorkerError
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.runs.failure import NOT_BEGUN, describe_exit
from ductaflow_runtime.worker.commands import END, INTERRUPT
from ductaflow_runtime.worker.journal import FILE_NAME
from ductaflow_runtime.worker.leftovers import OWNER, end_started_with, make_scratch

NOTE = "importing"  # in a worker's scratch folder, what it imports at this moment
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


@contextlib.contextmanager
def starting_a_process() -> Iterator[None]:
    """Raises `WorkerError` where the system starts no more of them."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.ENOMEM):
            raise
        raise WorkerError(
            f"the system starts no more processes ({error.strerror}): end some, have the limit raised (ulimit -u), "
            "or use fewer workers"
        ) from None


class Life(Protocol):
    """A process that was started, as `subprocess.Popen` is one."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal; raises `subprocess.TimeoutExpired`."""

    def kill(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Ends:
    """What a process is started with: a scratch folder, and descriptors of its commands, replies and complaints."""

    scratch: Path
    commands: int
    replies: int
    complaints: int


class UnfitError(Exception):
    """After the import of `name` a process is not one to fork instances from, or is none any more.

    `keep`: that is the package's fault, and will be so the next time.
    """

    def __init__(self, name: str, reason: str, *, keep: bool = True) -> None:
        super().__init__(name, reason)
        self.name, self.reason, self.keep = name, reason, keep

    def told(self) -> dict[str, Any]:
        """As JSON, for the process that has asked."""
        return {"name": self.name, "reason": self.reason, "keep": self.keep}


class RefusedAheadError(Exception):
    """The flow's shared cells cannot be executed ahead; the text follows "executing the shared cells"."""


class BrokenOffError(Exception):
    """A process has ended that was asked for something; the text says how."""


class Traces:
    """What tells of a process's end: what it complained of, and the note of what it was importing."""

    def __init__(self) -> None:
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.scratch = make_scratch()

    def of_end(self, code: int) -> UnfitError | BrokenOffError:
        """What its end means."""
        with contextlib.suppress(OSError):
            name = (self.scratch / NOTE).read_text(encoding="utf-8")
            if name:
                reason = "takes too long" if code == -signal.SIGALRM else f"ends the process ({describe_exit(code)})"
                by_others = code == -signal.SIGKILL  # somebody, or the system for want of memory: no package's fault
                return UnfitError(name, reason, keep=not by_others)
        self.complaints.seek(0)
        said = self.complaints.read().decode("utf-8", "replace").strip()[-2000:]
        return BrokenOffError(f"the worker broke off: {describe_exit(code)}" + (f":\n{said}" if said else ""))

    def clear(self) -> None:
        """It has ended, and nobody asks any more."""
        self.complaints.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


class Worker:
    """One worker process and the pipes to it; `start` starts it."""

    def __init__(self, start: Callable[[Ends], Life]) -> None:
        self._traces = Traces()
        self._lock = threading.Lock()
        self._stopped = False
        self.is_fit = False
        self.journal = self._traces.scratch / FILE_NAME
        commands, to_worker = os.pipe()
        from_worker, replies = os.pipe()
        self._commands, self._replies = open(to_worker, "wb"), open(from_worker, "rb")  # noqa: SIM115 - as above
        try:
            self._life = start(Ends(self._traces.scratch, commands, replies, self._traces.complaints.fileno()))
        except BaseException:
            self._clear()
            raise
        finally:
            os.close(commands)
            os.close(replies)

    def run(self, job: Job) -> dict[str, Any]:
        """Have a job done; raises `UnfitError` and `BrokenOffError`. Afterwards `is_fit` says if it can go on."""
        try:
            with self._lock:
                if self._stopped:
                    raise WorkerError(NOT_BEGUN)
                self._tell(job.to_json())
            line = self._replies.readline()
        except OSError:
            line = b""
        if not line:
            code = self._life.wait()
            end_started_with(self._traces.scratch)
            raise self._traces.of_end(code)
        reply: dict[str, Any] = json.loads(line)
        if "unfit" in reply:
            raise UnfitError(**reply["unfit"])
        self.is_fit = True
        return reply

    def has_begun(self) -> bool:
        """Whether it got as far as the folder of the instance that it was given last."""
        return self.journal.is_file() and self.journal.stat().st_size > 0

    def make_ready(self) -> None:
        """What came of an earlier job is over. A flow, or a system that cleans up, may have taken the folder away."""
        self._stopped = self.is_fit = False
        self.journal.parent.mkdir(mode=0o700, exist_ok=True)
        self.journal.write_bytes(b"")

    def interrupt(self) -> None:
        """Interrupt what it is executing, or keep it from beginning."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stopped = True
            self._tell(INTERRUPT)

    def end(self) -> None:
        """Tell the process to end, with whatever it is executing, and do not wait for it."""
        with contextlib.suppress(OSError, ValueError):
            self._tell(END)
        with contextlib.suppress(OSError):
            self._commands.close()

    def close(self) -> None:
        """End the process and whatever it is executing."""
        self.end()
        try:
            self._life.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._life.kill()
            self._life.wait()
        self._clear()

    def _tell(self, line: str) -> None:
        self._commands.write(f"{line}\n".encode())
        self._commands.flush()

    def _clear(self) -> None:
        with contextlib.suppress(OSError):
            self._commands.close()
        self._replies.close()
        self._traces.clear()


def start_fresh(ends: Ends, variables: dict[str, str]) -> Life:
    """A worker that is a fresh interpreter."""
    return start_process([str(ends.scratch)], ends.commands, ends.replies, ends.complaints, variables)


def start_process(
    arguments: list[str], stdin: int, stdout: int, stderr: int, variables: dict[str, str]
) -> subprocess.Popen[bytes]:
    """`python -m ductaflow_runtime.worker ...`, far from the caller's folder, modules and terminal.

    The last of the arguments is its scratch folder.
    """
    with starting_a_process():
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "ductaflow_runtime.worker", *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**variables, OWNER: os.path.basename(arguments[-1])},
            cwd=tempfile.gettempdir(),
            # A session of its own: Ctrl-C is for the parent, which then tells its workers, and nobody
            # answers a flow that asks for a password on the terminal.
            start_new_session=True,
        )


def worker_variables(threads: int) -> dict[str, str]:
    """The environment variables of a worker: the parent's, with the libraries' thread pools sized to its share."""
    variables = dict(os.environ)
    for name in _THREAD_VARIABLES:
        variables.setdefault(name, str(threads))
    return variables

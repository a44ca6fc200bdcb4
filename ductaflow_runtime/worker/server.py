"""A worker: `python -m ductaflow_runtime.worker`.

It imports what executions need, stays single-threaded, reads one job a line, and forks one child per
instance, so that a fresh process costs almost nothing. It is not `multiprocessing`: that would import the
conductor again, and its children may have no children. Where fork is not to be had, the child is a
fresh interpreter (`--child`); the rest is the same. The worker ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ductaflow_runtime.execution.execute import execute, study
from ductaflow_runtime.execution.failure import Clock
from ductaflow_runtime.execution.job import JOURNAL, NOT_BEGUN, Job
from ductaflow_runtime.kernel.capture import NAMES
from ductaflow_runtime.kernel.interrupts import INTERRUPTS
from ductaflow_runtime.kernel.shell import build_kernel, draw_inline
from ductaflow_runtime.notebook import read_bytes
from ductaflow_runtime.runs.failure import Failure, died, failure_from_json, interrupted, of_exception
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.fingerprint import packages
from ductaflow_runtime.worker.crash import entries, speak_for, unfinished
from ductaflow_runtime.worker.preload import is_part_of_known, preload, preload_runtime
from ductaflow_runtime.worker.supervise import (
    Commands,
    Ending,
    Poll,
    end_leftovers,
    ignore_interrupts,
    poll_forked,
    supervise,
)

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


# What children of this worker had to import beyond what was preloaded: the next ones find it there.
_learned: set[str] = set()


def main(arguments: list[str]) -> None:
    """Serve jobs until the parent goes away; or, as `--child`, execute the one given."""
    draw_inline()
    if arguments[0] == "--child":
        run_child(Child.from_text(sys.stdin.readline()))
        return
    scratch = Path(arguments[0])
    replies = os.dup(1)
    commands = Commands(os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what an import prints must not end up among the replies
    ignore_interrupts()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    preload_runtime()
    try:
        while (line := commands.next_line()) is not None:
            if line == "interrupt":
                continue  # it came after the instance had ended
            reply = serve(Job(**json.loads(line)), scratch, commands, replies)
            os.write(replies, (json.dumps(reply) + "\n").encode())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # if the parent was killed, nobody else does


class Child:
    """One execution, as the worker hands it to the process that will do it."""

    def __init__(self, job: Job, scratch: Path, pipes: dict[str, tuple[int, int]]) -> None:
        self.job = job
        self.scratch = scratch
        self.pipes = pipes
        self.clock = Clock.start(job.timeout)
        self.worker = os.getpid()

    @property
    def journal(self) -> Path:
        """What it tells as it goes, for the case of a sudden end."""
        return self.scratch / JOURNAL

    def to_text(self) -> str:
        """One line of JSON."""
        told = {"job": self.job.__dict__, "scratch": str(self.scratch), "pipes": self.pipes}
        return json.dumps({**told, "started": self.clock.started, "worker": self.worker}) + "\n"

    @staticmethod
    def from_text(text: str) -> Child:
        """The inverse of `to_text`."""
        told = json.loads(text)
        child = Child(Job(**told["job"]), Path(told["scratch"]), told["pipes"])
        child.clock.started, child.worker = told["started"], told["worker"]
        return child


def serve(job: Job, scratch: Path, commands: Commands, replies: int) -> dict[str, Any]:
    """Have one instance executed; the reply says only what the record on disk cannot."""
    forks = job.engine == "fork" and job.kernel_name is None and hasattr(os, "fork")
    if forks:
        warm_up(job)
        forks = threading.active_count() == 1  # a library that starts threads as it is imported: no fork after that
    commands.poll(0, [])
    if commands.take_line() == "interrupt":
        return {"fatal": Failure("Interrupted", NOT_BEGUN).to_json()}
    pipes = {name: os.pipe() for name in NAMES}
    child = Child(job, scratch, pipes)
    try:
        pid, poll = fork_child(child, commands, replies) if forks else spawn_child(child)
        for _, writer in pipes.values():
            os.close(writer)
        ending = supervise(pid, poll, commands, child.clock, job.instance.directory)
        end_leftovers(pid)
        reply = settle(child, ending)
        if ending.parent_gone:
            raise SystemExit
        return reply
    finally:
        for reader, _ in pipes.values():
            os.close(reader)


def warm_up(job: Job) -> None:
    """Do ahead what every execution of this flow needs: read it, and import what it imports."""
    flow = Path(job.flow)
    names: tuple[str, ...] = ()
    with contextlib.suppress(Exception):  # what is wrong with the flow, the execution will say
        names = study(flow, read_bytes(flow))[1].imports
    shell: Any = build_kernel().shell
    with shell.builtin_trap:  # pandas looks for a notebook when it is imported
        preload([*names, *_learned] if job.preload is None else job.preload, job.export_html, (flow.parent, job.root))
        _learned.clear()
    packages(names)


def fork_child(child: Child, commands: Commands, replies: int) -> tuple[int, Poll]:
    """A child that starts with everything this worker has imported."""
    gc.freeze()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid, functools.partial(poll_forked, pid)
    try:
        os.setpgid(0, 0)
        os.close(commands.descriptor)
        os.close(replies)
        run_child(child)
    finally:
        os._exit(1)


def spawn_child(child: Child) -> tuple[int, Poll]:
    """A child that is a fresh interpreter."""
    passed = [end for pair in child.pipes.values() for end in pair]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ductaflow_runtime.worker", "--child"],
        stdin=subprocess.PIPE,
        pass_fds=passed,
        process_group=0,
        text=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin as stdin:
        stdin.write(child.to_text())
    return process.pid, process.poll


def run_child(child: Child) -> None:
    """The child's whole life; it never returns."""
    code = 1
    _prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != child.worker:
        os._exit(code)
    with open(child.journal, "a", encoding="utf-8") as file:

        def journal(entry: dict[str, Any]) -> None:
            file.write(json.dumps(entry) + "\n")
            file.flush()

        try:
            INTERRUPTS.listen()
            execute(child.job, journal, child.clock.started, child.pipes, child.scratch)
            code = 0
        except BaseException as error:  # noqa: BLE001 - the worker is told, whatever it was
            journal({"fatal": of_exception(error).to_json()})
        finally:
            os._exit(code)


def settle(child: Child, ending: Ending) -> dict[str, Any]:
    """Make sure that the record says how the execution ended."""
    job = child.job
    told = entries(child.journal)
    fatal = next((failure_from_json(entry["fatal"]) for entry in told if "fatal" in entry), None)
    _learned.update(name for entry in told for name in entry.get("imported", ()) if is_part_of_known(name))
    ours = any("foreign" in entry for entry in told)
    if not ours or unfinished(job) is None:
        if fatal is not None or ending.code != 0:
            return {"fatal": (fatal or died(ending.code)).to_json()}
        return {}
    status = Status.FAILED
    if ending.timed_out:
        error = child.clock.failure()
    elif ending.interrupted or ending.parent_gone:
        status, error = Status.INTERRUPTED, interrupted()
    elif fatal is not None:
        error = fatal
    else:
        error = died(ending.code)
    speak_for(job, child.journal, status, error, last_words(child))
    return {}


def last_words(child: Child) -> dict[str, str]:
    """What the child printed and nobody read, such as the message of a crash in C code."""
    words: dict[str, str] = {}
    for name, (reader, _) in child.pipes.items():
        os.set_blocking(reader, False)
        with contextlib.suppress(OSError):
            words[name] = os.read(reader, 1 << 20).decode("utf-8", "replace")
    return words


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)

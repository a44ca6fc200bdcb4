"""What a process prints, caught where it leaves the process, and in order.

Two ways lead in: Python's `sys.stdout`/`sys.stderr` (replaced by `FlowStream` in notebook execution) and
the descriptors 1 and 2, which subprocesses and C code write to. A pipe and a thread serve the second;
the first empties the pipe before each write, so that the order is kept.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import threading
from collections.abc import Callable

from ductaflow_runtime.kernel.interrupts import INTERRUPTS

# Called with the stream's name, text, and whether the text should be shown before its line ends.
Take = Callable[[str, str, bool], None]
# The two ends of the pipe behind each stream: (to read, to write).
Pipes = dict[str, tuple[int, int]]

NAMES = ("stdout", "stderr")
_CHUNK = 1 << 16
_FLOOD = _CHUNK // 4
_PAUSE_S = 0.01


def open_pipes() -> Pipes:
    """A pipe for each stream."""
    return {name: os.pipe() for name in NAMES}


class _Stream:
    """One of the descriptors 1 and 2, and the pipe that takes its place."""

    def __init__(self, name: str, ends: tuple[int, int]) -> None:
        self.name = name
        self.reader, self._writer = ends
        self.descriptor = 1 + NAMES.index(name)
        self.original = -1
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def redirect(self) -> None:
        os.set_blocking(self.reader, False)
        self.original = os.dup(self.descriptor)
        os.dup2(self._writer, self.descriptor)
        os.close(self._writer)

    def restore(self) -> None:
        os.dup2(self.original, self.descriptor)

    def read(self) -> tuple[int, str]:
        """What is in the pipe, up to a limit: its number of bytes, and its text."""
        try:
            data = os.read(self.reader, _CHUNK)
        except OSError:  # nothing there
            return 0, ""
        return len(data), self._decode(data)


class Capture:
    """The descriptors 1 and 2 of this process, read by a thread; everything goes to `take`."""

    def __init__(self, take: Take, pipes: Pipes | None = None) -> None:
        self.lock = threading.RLock()
        self._take = take
        self._streams = {name: _Stream(name, ends) for name, ends in (pipes or open_pipes()).items()}
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, name="ductaflow-output", daemon=True)
        self._owner = os.getpid()

    def start(self) -> None:
        """Point descriptors 1 and 2 at the pipes and begin to read them."""
        for stream in self._streams.values():
            stream.redirect()
        self._thread.start()

    def stop(self) -> None:
        """Point the descriptors back, and take in what is still in the pipes."""
        for stream in self._streams.values():
            stream.restore()
        os.write(self._wake, b"x")
        self._thread.join()
        self.drain()
        for stream in self._streams.values():  # last: a script's output is passed on to them
            os.close(stream.original)

    def close(self) -> None:
        """Let go of the pipes, in a process that goes on; after `stop`."""
        for descriptor in (self._stop, self._wake, *(stream.reader for stream in self._streams.values())):
            os.close(descriptor)

    def original(self, name: str) -> int:
        """The descriptor that `name` had before."""
        return self._streams[name].original

    def is_owner(self) -> bool:
        """False in a process forked from this one, whose output must go to the descriptors."""
        return os.getpid() == self._owner

    def write(self, name: str, text: str) -> None:
        """Text that Python code prints."""
        with self.lock:
            self.drain()
            if text:
                self._take(name, text, False)

    def flush(self, name: str) -> None:
        """Show what has been printed of a line."""
        with self.lock:
            self._take(name, "", True)

    def drain(self) -> int:
        """Take in what the pipes hold at this moment; no more, for a background process may never stop.

        Gives the number of bytes.
        """
        taken = 0
        with self.lock:
            for stream in self._streams.values():
                size, text = stream.read()
                taken += size
                if text:
                    self._take(stream.name, text, True)
        return taken

    def _read(self) -> None:
        """The thread: take in what comes, until told to stop."""
        watched = [self._stop, *(stream.reader for stream in self._streams.values())]
        flooded = False
        while True:
            select.select(watched, [], [])
            # Of a process that dies now, the worker finds what it printed last in the pipe; taken out of it
            # and not yet written down, it would be lost. A flood cannot wait: the pipe would be full.
            if select.select([self._stop], [], [], 0 if flooded else _PAUSE_S)[0]:
                return
            flooded = self.drain() > _FLOOD


class FlowStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of an executing flow."""

    encoding = "UTF-8"
    errors = None

    def __init__(self, name: str, capture: Capture) -> None:
        self.name = name
        self._stream = name
        self._capture = capture
        self._descriptor = 1 + NAMES.index(name)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if self._capture.is_owner():
            with INTERRUPTS.held():
                self._capture.write(self._stream, text)
        else:
            data = text.encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._descriptor, data) :]
        return len(text)

    def flush(self) -> None:
        if self._capture.is_owner():
            with INTERRUPTS.held():
                self._capture.flush(self._stream)

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """A flow that closes its output must not silence the cells after it."""


def close_stdin() -> None:
    """An execution has nobody to ask: reading standard input meets its end at once."""
    handle = os.open(os.devnull, os.O_RDONLY)
    os.dup2(handle, 0)
    os.close(handle)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115

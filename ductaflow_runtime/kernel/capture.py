"""What an execution prints: caught at file-descriptor level, into `run.log` as it happens.

Two ways lead in: Python's `sys.stdout`/`sys.stderr` (replaced by `FlowStream` in notebook execution) and
the descriptors 1 and 2, which subprocesses and C code write to. A pipe and a thread serve the second;
the first empties the pipe before each write, so that the order is kept.
"""

from __future__ import annotations

import codecs
import contextlib
import datetime
import io
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ductaflow_runtime.kernel.interrupts import INTERRUPTS

Emit = Callable[[str, str], None]

NAMES = ("stdout", "stderr")
_LABELS = {"stdout": "out", "stderr": "err"}
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LONGEST_LINE = 100_000
_PROGRESS_EVERY_S = 5.0
_CHUNK = 1 << 16
_PAUSE_S = 0.01


class Log:
    """`run.log`: plain text, one line a line, with the time at which it was printed."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            os.write(self._handle, b"\n")  # the process that wrote so far died within a line
        self._partial = {"stdout": "", "stderr": ""}
        self._unended: str | None = None
        self._shown = time.monotonic()

    def feed(self, name: str, text: str, at_once: bool = False) -> None:
        """Add printed text. A line is written when it ends, a progress bar's state now and then.

        `at_once` does not wait for the end of a line: the process may not live to print it.
        """
        *lines, rest = (self._partial[name] + text).split("\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], ""
        if "\r" in rest[:-1]:
            rest = rest[rest.rindex("\r", 0, -1) + 1 :]
            if time.monotonic() - self._shown > _PROGRESS_EVERY_S:
                self._shown = time.monotonic()
                lines.append(rest)
        elif at_once and "\r" not in rest:
            self._write(name, [*lines, rest], ended=False)
            lines, rest = [], ""
        self._partial[name] = rest
        if lines:
            self._write(name, lines)

    def close(self) -> None:
        """Write what has no line end yet, and close the file."""
        for name, rest in self._partial.items():
            if rest:
                self._write(name, [rest])
        if self._unended is not None:
            self._write(self._unended, [""])
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def _write(self, name: str, lines: list[str], ended: bool = True) -> None:
        if not ended and not lines[-1]:
            lines, ended = lines[:-1], True
        if not lines:
            return
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        head = f"{moment} {_LABELS[name]} | "
        text = "\n".join(head + plain(line) for line in lines)
        if self._unended is not None:
            # The last line in the file goes on, unless the other stream has something to say meanwhile.
            text = text[len(head) :] if self._unended == name else "\n" + text
        self._unended = None if ended else name
        with contextlib.suppress(OSError):  # a full disk must not turn print() into an error
            os.write(self._handle, (text + "\n" * ended).encode("utf-8", "backslashreplace"))


def plain(line: str) -> str:
    """A line as it would look in the end: no colours, no overwritten parts, no control characters."""
    line = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("\ufffd", _ANSI.sub("", line))


class Capture:
    """The descriptors 1 and 2 of this process, read by a thread; everything goes to `log` and to `emit`."""

    def __init__(self, log: Log, emit: Emit, pipes: dict[str, tuple[int, int]] | None = None) -> None:
        self.log = log
        self.lock = threading.RLock()
        self._emit = emit
        self._pipes = pipes or {name: os.pipe() for name in NAMES}
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in NAMES}
        self._saved: dict[str, int] = {}
        self._stop, self._wake = os.pipe()
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()

    def start(self) -> None:
        """Point descriptors 1 and 2 at the pipes and begin to read them."""
        for descriptor, name in enumerate(NAMES, 1):
            reader, writer = self._pipes[name]
            os.set_blocking(reader, False)
            self._saved[name] = os.dup(descriptor)
            os.dup2(writer, descriptor)
            os.close(writer)
        self._thread = threading.Thread(target=self._read, name="ductaflow-output", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Point the descriptors back, and take in what is still in the pipes."""
        for descriptor, name in enumerate(NAMES, 1):
            os.dup2(self._saved[name], descriptor)
        os.write(self._wake, b"x")
        if self._thread is not None:
            self._thread.join()
        self.drain()
        for handle in self._saved.values():  # last: a script's output is passed on to them
            os.close(handle)

    def original(self, name: str) -> int:
        """The descriptor that `name` had before."""
        return self._saved[name]

    def is_owner(self) -> bool:
        """False in a process forked from this one, whose output must go to the descriptors."""
        return os.getpid() == self._owner

    def write(self, name: str, text: str) -> None:
        """Text that Python code prints."""
        with self.lock:
            self.drain()
            self._take(name, text)

    def drain(self) -> int:
        """Take in what the pipes hold at this moment; no more, for a background process may never stop.

        Gives the number of bytes.
        """
        taken = 0
        with self.lock:
            for name in NAMES:
                if data := self._read_some(name):
                    taken += len(data)
                    self._take(name, self._decoders[name].decode(data), at_once=True)
        return taken

    def flush(self, name: str) -> None:
        """Show in the log what has been printed of a line."""
        with self.lock:
            self.log.feed(name, "", at_once=True)

    def _read_some(self, name: str) -> bytes:
        try:
            return os.read(self._pipes[name][0], _CHUNK)
        except OSError:
            return b""

    def _take(self, name: str, text: str, at_once: bool = False) -> None:
        if text:
            self.log.feed(name, text, at_once)
            self._emit(name, text)

    def _read(self) -> None:
        readers = {self._pipes[name][0] for name in NAMES}
        flows = False
        while True:
            ready, _, _ = select.select([*readers, self._stop], [], [])
            if not flows and self._stop not in ready:
                # Of a process that dies now, the worker finds the last words in the pipe; taken out of it
                # and not yet written down, they would be lost.
                ready, _, _ = select.select([self._stop], [], [], _PAUSE_S)
            if self._stop in ready:
                return
            flows = self.drain() > _CHUNK // 4


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

"""`run.log`: what an execution prints, as plain text with times, written as it happens."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
import stat
import time
from pathlib import Path

from ductaflow_runtime.files import without_escapes

_LABELS = {"stdout": "out", "stderr": "err"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CAREFULLY = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY"))
_LONGEST_LINE = 100_000
_PROGRESS_EVERY_S = 5.0


class Log:
    """`run.log`: plain text, one line a line, with the time at which it was printed.

    A line that has not ended yet is in `_held`, by stream, or already in the file: then `_open` is its stream.
    """

    def __init__(self, path: Path) -> None:
        self._handle = _open_to_add(path)
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            os.write(self._handle, b"\n")  # the process that wrote so far died within a line
        self._held = {"stdout": "", "stderr": ""}
        self._open: str | None = None
        self._progress_shown = time.monotonic()

    def feed(self, name: str, text: str, at_once: bool = False) -> None:
        """Add printed text. A line is written when it ends, a progress bar's state now and then.

        `at_once` does not wait for the end of a line: the process may not live to print it.
        """
        *lines, rest = (self._held[name] + text).split("\n")
        begun = ""
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = ""
        elif is_progress(rest):
            rest = rest[rest.rindex("\r", 0, -1) + 1 :]
            if self._progress_is_due():
                lines.append(rest)
        elif at_once and "\r" not in rest:
            begun, rest = rest, ""
        self._held[name] = rest
        self._write(name, lines, begun)

    def close(self) -> None:
        """Write what has no line end yet, and close the file."""
        for name, rest in self._held.items():
            if rest:
                self._write(name, [rest])
        if self._open is not None:
            self._write(self._open, [""])
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def _progress_is_due(self) -> bool:
        moment = time.monotonic()
        if moment - self._progress_shown <= _PROGRESS_EVERY_S:
            return False
        self._progress_shown = moment
        return True

    def _write(self, name: str, lines: list[str], begun: str = "") -> None:
        """Whole lines, and the beginning of one, in a single write: other processes may append to the file too."""
        pieces = [*lines, begun] if begun else lines
        if not pieces:
            return
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        head = f"{moment} {_LABELS[name]} | "
        text = "\n".join(head + plain(piece) for piece in pieces)
        if self._open == name:
            text = text[len(head) :]  # the last line in the file goes on
        elif self._open is not None:
            text = "\n" + text  # the other stream has something to say before its line has ended
        self._open = name if begun else None
        with contextlib.suppress(OSError):  # a full disk must not turn print() into an error
            os.write(self._handle, (text if begun else text + "\n").encode("utf-8", "backslashreplace"))


def _open_to_add(path: Path) -> int:
    """The log's descriptor; `OSError` for what is no file of its own: a link would have it written elsewhere."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _CAREFULLY, 0o666)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def is_progress(line: str) -> bool:
    """Whether a part of a line has been overwritten, as progress bars do."""
    return "\r" in line[:-1]


def plain(line: str) -> str:
    """A line as it would look in the end: no colours, no overwritten parts, no control characters."""
    line = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("\ufffd", without_escapes(line))

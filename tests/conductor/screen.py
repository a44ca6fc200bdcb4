"""What somebody sees of a command: a terminal's screen once all is over, with what differs between two runs masked."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

WIDTH = 150
_PIECES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b")
_MASKS = [
    (re.compile(r'  File "[^"]*/ductaflow_runtime/[^"]*", line \d+, in .*\n(?:    .*\n)*'), "  (inside ductaflow)\n"),
    (re.compile(r"(?:  \(inside ductaflow\)\n)+"), "  (inside ductaflow)\n"),
    (re.compile(r"\b\d+:\d\d(?::\d\d)?\b(?! )|\b\d+:\d\d(?::\d\d)?(?= left)"), "TIME"),
    (re.compile(r"^ +[~^]+\n", re.MULTILINE), ""),  # under a line of a traceback, as this Python's version does it
    (re.compile(r", \d+ running|, about TIME left"), ""),
    (re.compile(r" +$", re.MULTILINE), ""),
]


def screen(text: str) -> str:
    """The lines that a terminal shows at the end."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for piece in _PIECES.findall(text):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
        elif piece.startswith("\x1b"):
            row -= int(piece[2:-1] or 1) if piece.endswith("A") else 0
        else:
            lines += [[] for _ in range(row + 1 - len(lines))]
            line = lines[row]
            line += " " * (column - len(line))
            line[column : column + len(piece)] = piece
            column += len(piece)
    return "\n".join("".join(line).rstrip() for line in lines) + "\n"


def masked(text: str, root: Path) -> str:
    """Without times, and without where the project lies."""
    text = text.replace(str(root), "PROJECT")
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of `WIDTH` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def shown_in_terminal(
    root: Path, *arguments: str, meanwhile: Callable[[subprocess.Popen[bytes]], object] = lambda _: None
) -> str:
    """What `python ...` in the project's folder leaves on the screen; `meanwhile` is done while it runs."""
    with terminal() as (ours, theirs):
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=root, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        meanwhile(process)
        with closing(os.fdopen(os.dup(ours), "rb", buffering=0)) as reader:
            text = b"".join(iter(lambda: _read(reader.fileno()), b""))
        process.wait()
    return masked(screen(text.decode("utf-8").replace("\r\n", "\n")), root)


def shown_in_a_file(root: Path, *arguments: str) -> str:
    """What `python ...` writes where no terminal is."""
    told = subprocess.run(
        [sys.executable, *arguments], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return masked(told.stdout, root)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the process has ended, and with it the other end
        return b""

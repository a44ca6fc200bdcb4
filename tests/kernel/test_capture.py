"""Output is caught whichever way it takes, whole and in order."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

from ductaflow_runtime.kernel.capture import Capture

Taken = list[tuple[str, str]]


@contextlib.contextmanager
def caught(taken: Taken) -> Iterator[Capture]:
    """The descriptors of this process, caught."""
    capture = Capture(lambda name, text, _at_once: taken.append((name, text)))
    capture.start()
    try:
        yield capture
    finally:
        capture.stop()


def text(taken: Taken, name: str) -> str:
    """All of one stream."""
    return "".join(text for stream, text in taken if stream == name)


def test_python_and_processes_keep_their_order() -> None:
    """What a subprocess printed comes before what Python prints after it."""
    taken: Taken = []
    with caught(taken) as capture:
        capture.write("stdout", "first ")
        subprocess.run(["echo", "-n", "second "], check=True)
        capture.write("stdout", "third")
        os.write(1, b" fourth")
    assert text(taken, "stdout") == "first second third fourth"


def test_a_character_may_come_in_pieces() -> None:
    """Bytes that are half a character wait for the other half."""
    taken: Taken = []
    with caught(taken) as capture:
        os.write(1, "é".encode()[:1])
        capture.drain()
        os.write(1, "é".encode()[1:])
    assert text(taken, "stdout") == "é"


def test_the_streams_are_told_apart() -> None:
    """Standard output and standard error go their ways, and back to where they went before."""
    taken: Taken = []
    with caught(taken):
        os.write(1, b"out")
        os.write(2, b"err")
    os.write(1, b"later")
    assert (text(taken, "stdout"), text(taken, "stderr")) == ("out", "err")

"""run.log: whole lines, however the text arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from ductaflow_runtime.kernel.log import Log

TEXT = "first line\nsecond\n\nfourth, not ended"


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("at_once", [True, False])
def test_lines_are_whole_however_the_text_arrives(tmp_path: Path, size: int, at_once: bool) -> None:
    """Each printed line is one line of the log, with its time, whatever the pieces it came in."""
    log = Log(tmp_path / "run.log")
    for start in range(0, len(TEXT), size):
        log.feed("stdout", TEXT[start : start + size], at_once)
    log.close()
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition(" out | ")[2] for line in lines] == TEXT.split("\n")


def test_streams_do_not_run_into_each_other(tmp_path: Path) -> None:
    """What one stream prints in the middle of the other's line gets a line of its own."""
    log = Log(tmp_path / "run.log")
    log.feed("stdout", "half", at_once=True)
    log.feed("stderr", "oops\n", at_once=True)
    log.feed("stdout", " and half\n", at_once=True)
    log.close()
    lines = [line.partition("Z ")[2] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert lines == ["out | half", "err | oops", "out |  and half"]


def test_the_log_is_plain_text(tmp_path: Path) -> None:
    """Colours, overwritten progress and control characters do not reach the log."""
    log = Log(tmp_path / "run.log")
    log.feed("stdout", "\x1b[31mred\x1b[0m\n10%\r20%\r100%\nbell\x07\n")
    log.close()
    lines = [line.partition(" | ")[2] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert lines == ["red", "100%", "bell\ufffd"]

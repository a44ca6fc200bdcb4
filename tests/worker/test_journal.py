"""What an executing process told before it died is read as far as it is whole."""

from __future__ import annotations

from pathlib import Path

from ductaflow_runtime.worker.journal import FILE_NAME, JournalWriter, read_journal


def test_a_line_that_was_not_finished_is_left_out(tmp_path: Path) -> None:
    """The notebook is as it was told last; half a line tells nothing."""
    path = tmp_path / FILE_NAME
    with path.open("w") as file:
        tell = JournalWriter(file)
        tell({"foreign": {"notes.txt": [3, 5]}})
        tell({"notebook": {"cells": [{"source": "1"}, {"source": "2"}]}})
        tell({"index": 1, "cell": {"source": "2", "outputs": ["two"]}})
        file.write('{"index": 0, "cell": {"sou')
    told = read_journal(path)
    assert told.foreign == {"notes.txt": (3, 5)}
    assert told.notebook == {"cells": [{"source": "1"}, {"source": "2", "outputs": ["two"]}]}


def test_a_process_that_told_nothing(tmp_path: Path) -> None:
    """Without a journal nobody knows whose files are in the folder."""
    assert read_journal(tmp_path / FILE_NAME).foreign is None

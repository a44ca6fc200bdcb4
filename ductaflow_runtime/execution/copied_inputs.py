"""Inputs that a flow's author named from the flow's own folder, copied to where the flow works while it does.

For flows that are not to be changed. Copies, for what a flow writes over one must not reach the original.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ductaflow_runtime.files import Stat, stat_file
from ductaflow_runtime.staleness.tracking import Tracker


@contextlib.contextmanager
def copied_inputs(texts: Iterable[str], flow: Path, directory: Path, tracker: Tracker) -> Iterator[None]:
    """Copy the files beside `flow` that `texts` name, count them as inputs, and remove the copies in the end.

    What is in `directory` already stays, and so does a copy that the flow has written over: it is an output then.
    """
    copies: dict[Path, Stat | None] = {}
    try:
        for text in texts:
            place = _copy(text, flow.parent, directory, tracker)
            if place is not None:
                copies[place] = stat_file(place)
        yield
    finally:
        for place, stat in copies.items():
            _remove(place, stat, directory)


def copy_inputs(texts: Iterable[str], flow: Path, directory: Path) -> None:
    """Copy them for somebody who takes the flow apart in `directory`; they stay."""
    for text in texts:
        _copy(text, flow.parent, directory, None)


def _copy(text: str, source: Path, directory: Path, tracker: Tracker | None) -> Path | None:
    """The copy of the file that a text names, `None` if it names none below the flow's folder."""
    inside = os.path.normpath(text)
    original, place = source / inside, directory / inside
    if os.path.isabs(text) or inside.startswith("..") or stat_file(original) is None or os.path.lexists(place):
        return None
    if tracker is not None:
        tracker.name(original)  # before it is read: what changes meanwhile, the copy may not hold
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(original, place)
    return place


def _remove(place: Path, stat: Stat | None, directory: Path) -> None:
    if stat is None or stat_file(place) != stat:
        return
    place.unlink()
    for folder in place.parents:
        if folder == directory:
            return
        with contextlib.suppress(OSError):  # the flow has put something there
            folder.rmdir()

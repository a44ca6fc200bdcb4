"""Earlier results that a sweep has set aside: all of a project's together stay below the size that its settings allow.

An instance sees to its own number of them; only who watches the whole sweep can see to the size of all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.kept import KEPT, Kept, address, all_kept, drop_everything, drop_oldest, kept_results
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan


class Sizes:
    """The earlier results in each folder of results that this process has added to, by instance, and their size."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[Path, list[Kept]]] = {}
        self._size: dict[Path, int] = {}

    def note(self, instance: Instance, most: int) -> None:
        """An instance may have one more: the oldest of all are deleted when there are more than `most` bytes."""
        runs_dir = instance.runs_dir
        place = runs_dir / KEPT / address(instance)
        if not os.path.isdir(place):
            return
        if runs_dir not in self._known:
            self._look_at(runs_dir, all_kept(runs_dir))
        known, now = self._known[runs_dir], kept_results(instance)
        self._size[runs_dir] += _size(now) - _size(known.get(place, ()))
        known[place] = now
        if self._size[runs_dir] > most:  # some more than need be, for looking at all of them takes time
            self._look_at(runs_dir, drop_oldest(all_kept(runs_dir), most * 9 // 10))

    def _look_at(self, runs_dir: Path, kept: Sequence[Kept]) -> None:
        known: dict[Path, list[Kept]] = {}
        for one in kept:
            known.setdefault(one.folder.parent, []).append(one)
        self._known[runs_dir], self._size[runs_dir] = known, _size(kept)


def _size(kept: Sequence[Kept]) -> int:
    return sum(one.size for one in kept)


_sizes = Sizes()  # global, for calls in a loop each execute one row, and looking at all that there is takes time


class Keeping(Observer):
    """Has the settings `keep` and `keep_size` hold for all instances together."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def planned(self, plans: Sequence[Plan], refreshed: int) -> None:
        """Where none are to be kept any more, those from before go."""
        if not self._project.settings.keep:
            drop_everything(self._project.runs_dir)
        for plan in plans:
            if plan.back is not None:  # what it replaces may be kept
                _sizes.note(plan.instance, self._project.settings.bytes_kept)

    def ended(self, outcome: Outcome) -> None:
        """A row that is done may have set an earlier result aside."""
        if outcome.status is Status.DONE and self._project.settings.keep:
            _sizes.note(outcome.instance, self._project.settings.bytes_kept)

"""Somebody ends a conductor, a worker, an instance's process or all of them, at a random moment of a sweep.

Several kills come one after the other in one project: a sweep of all rows at a new version, the kill, a look at what is
on disk, and a run that finishes what is missing. A conductor that lives goes on to the next kill, or is told to leave.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_checks import (
    ENDED,
    LOST,
    NEXT,
    PATIENCE_S,
    PREVIOUS,
    PROCESSES,
    SCRATCH,
    TORN,
    TWICE,
    Findings,
    after_all,
    is_done,
    rows_against_records,
)
from benchmarks.fault_conductor import Conductor
from benchmarks.fault_project import Trial

ROWS = 8
COLD = 0.2  # of the kills that come after others: in a conductor that has just been started


@dataclass(frozen=True)
class Kill:
    """Who is sent what signal, on which engine; `share` of the trials of others are made."""

    whom: str
    number: int
    engine: str = "fork"
    share: float = 1.0

    @property
    def survives(self) -> bool:
        """Whether the conductor goes on."""
        return self.whom in ("base", "worker", "child")


@dataclass(frozen=True)
class Spans:
    """Seconds of an undisturbed sweep: the first one of a conductor, and one with workers that wait for it."""

    cold: float
    warm: float


def executed_twice(folder: Path, engine: str) -> tuple[Trial, Spans]:
    """A project whose rows are all done, at version 2, and how long sweeps of it take."""
    done = Trial(folder / engine, ROWS)
    done.write_project(engine)
    conductor, spans = done.conductor("made"), []
    for version in (1, 2):
        frame = done.frame_file(f"made{version}")
        conductor.order(version, frame)
        if not conductor.wait_for(frame):
            raise RuntimeError(f"the sweep without a fault failed:\n{(done.folder / 'made.log').read_text()}")
        spans.append(frame.stat().st_mtime - frame.with_name(f"{frame.name}.begun").stat().st_mtime)
    conductor.leave()
    return done, Spans(*spans)


def try_kills(case: Kill, done: Trial, folder: Path, spans: Spans, kills: int) -> Iterator[Findings]:
    """What was found after each of so many kills in one project, and the run after it."""
    trial = Trial(folder, ROWS, like=done)
    chain = Chain(trial, case, spans)
    try:
        made = 0
        while made < kills:
            found = chain.kill()
            if found is None:
                continue
            made += 1
            if made == kills or random.random() < COLD:
                found += chain.leave()
            yield found
    finally:
        trial.end_all()


class Chain:
    """One kill after the other in a project whose rows are done at version 2; each has a version of its own."""

    def __init__(self, trial: Trial, case: Kill, spans: Spans) -> None:
        self._trial = trial
        self._case = case
        self._spans = spans
        self._version = 2
        self._conductors = 0
        self._conductor: Conductor | None = None

    @property
    def _living(self) -> list[Conductor]:
        return [] if self._conductor is None else [self._conductor]

    def _take(self) -> Conductor:
        """The conductor that waits, else a new one."""
        if self._conductor is None:
            self._conductors += 1
            self._conductor = self._trial.conductor(f"c{self._conductors}")
        return self._conductor

    def _has_ended(self) -> int | None:
        """The exit code of the conductor, which is no more."""
        conductor, self._conductor = self._take(), None
        return conductor.wait()

    def kill(self) -> Findings | None:
        """What was found after one kill and the next run; `None` if the sweep had ended before it."""
        trial, case, cold = self._trial, self._case, self._conductor is None
        conductor = self._take()
        self._version += 1
        before, frame = trial.executions(), trial.frame_file(f"killed{self._version}")
        conductor.order(self._version, frame)
        wide = self._spans.cold if cold and case.whom in ("conductor", "base", "all") else self._spans.warm
        struck = _strike(conductor, frame, case, random.uniform(0, wide))
        if not struck or case.survives:
            found = self._ended(conductor, frame)
        else:
            code = self._has_ended()
            found = [] if code == -case.number else [(ENDED, f"exit code {code}")]
        if not struck:
            return found or None
        left = trial.left_after(PATIENCE_S, self._living)
        found += [(PROCESSES, told) for told in left.values() if case.whom != "all" or not told.startswith("sleep")]
        found += _on_disk(trial, self._version)
        if case.survives:
            found += rows_against_records(trial, f"killed{self._version}") + _cost(
                trial, f"killed{self._version}", case
            )
        return found + self._next_run(before)

    def _ended(self, conductor: Conductor, frame: Path) -> Findings:
        """That a sweep has not come to its end."""
        return [] if conductor.wait_for(frame) else [(ENDED, f"exit code {self._has_ended()} before {frame.name}")]

    def _next_run(self, before: dict[str, list[tuple[int, str]]]) -> Findings:
        """Run it once more: what is done stays, what is missing is executed, each once."""
        trial, version = self._trial, self._version
        finished = {name: trial.record(name) for name in trial.names if is_done(trial, name, version)}
        between, frame = trial.executions(), trial.frame_file(f"next{version}")
        conductor = self._take()
        conductor.order(version, frame)
        found = self._ended(conductor, frame)
        after = trial.executions()
        first = {name: len(told) - len(before.get(name, [])) for name, told in between.items()}
        again = {name: len(told) - len(between.get(name, [])) for name, told in after.items()}
        found += [(TWICE, name) for name in finished if again.get(name)]
        found += [(TWICE, f"{name} in one sweep") for name, number in first.items() if number > 1]
        found += [(LOST, name) for name, record in finished.items() if trial.record(name) != record]
        found += [(NEXT, name) for name in trial.names if name not in finished and again.get(name) != 1]
        return found + after_all(trial, f"next{version}", version, self._living)

    def leave(self) -> Findings:
        """Tell the conductor that waits to leave: nothing of it may be left."""
        if self._conductor is None:
            return []
        code = self._conductor.leave()
        self._conductor = None
        found: Findings = [] if code == 0 else [(ENDED, f"exit code {code}")]
        found += [(PROCESSES, told) for told in self._trial.left_after(PATIENCE_S, []).values()]
        return found + [(SCRATCH, name) for name in self._trial.scratch_left()]


def _strike(conductor: Conductor, frame: Path, case: Kill, pause: float) -> bool:
    """Send the signal so many seconds after there is somebody to send it to; false if the sweep has ended before."""
    begun = frame.with_name(f"{frame.name}.begun")
    while conductor.is_at(frame) and not (begun.exists() and _targets(conductor, case)):
        time.sleep(0.005)
    time.sleep(pause)
    while conductor.is_at(frame):
        targets = _targets(conductor, case)
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, case.number)
        if targets:
            return True
        time.sleep(0.002)
    return False


def _targets(conductor: Conductor, case: Kill) -> list[int]:
    """Whom the signal goes to: one of its kind, or all."""
    if case.whom == "conductor":
        return [conductor.pid]
    family = conductor.family()
    if case.whom == "all":
        return [pid for pids in family.values() for pid in pids]
    return random.sample(family[case.whom], 1) if family[case.whom] else []


def _on_disk(trial: Trial, version: int) -> Findings:
    """Whether each instance has whole results, of this version or the one before."""
    found = [(TORN, name) for name in trial.torn()]
    for name in trial.names:
        if trial.is_whole(name, version):
            continue
        if is_done(trial, name, version):
            found.append((LOST, f"{name} says done, and is not whole"))
        if not (trial.is_whole(name, version - 1) or trial.is_whole(name, version - 1, previous=True)):
            found.append((PREVIOUS, name))
    return found


def _cost(trial: Trial, frame: str, case: Kill) -> Findings:
    """A worker or an instance's process costs one row at most, a base process none."""
    failed = [name for name, row in (trial.frame(frame) or {}).items() if row["status"] == "failed"]
    most = 0 if case.whom == "base" else 1
    return [(ENDED, f"{' '.join(failed)} failed")] if len(failed) > most else []


KILLS = {
    "conductor, SIGKILL": Kill("conductor", signal.SIGKILL),
    "conductor, SIGTERM": Kill("conductor", signal.SIGTERM),
    "conductor, Ctrl-C": Kill("conductor", signal.SIGINT),
    "worker, SIGKILL": Kill("worker", signal.SIGKILL),
    "worker, SIGTERM": Kill("worker", signal.SIGTERM),
    "worker, SIGKILL, engine spawn": Kill("worker", signal.SIGKILL, "spawn", share=0.1),
    "instance's process, SIGKILL": Kill("child", signal.SIGKILL),
    "instance's process, SIGTERM": Kill("child", signal.SIGTERM),
    "base process, SIGKILL": Kill("base", signal.SIGKILL),
    "all of them together, SIGKILL": Kill("all", signal.SIGKILL),
    "all of them together, SIGTERM": Kill("all", signal.SIGTERM),
}

"""Somebody ends a conductor, a worker, an instance's process or all of them, at a random moment of a sweep."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.fault_project import Trial, wait_until_ended

ROWS = 8
PATIENCE_S = 3.0

# What must not be, each with the word that stands over its column.
Findings = list[tuple[str, str]]
LOST, PREVIOUS, TWICE, TORN = "finished result lost", "previous not whole", "executed twice", "torn or temporary file"
CONTRADICTS, PROCESSES, SCRATCH = "row against record", "process 3 s later", "scratch folder left"
NEXT, ENDED = "next run not exact", "hangs or breaks"
CHECKS = (LOST, PREVIOUS, TWICE, TORN, CONTRADICTS, PROCESSES, SCRATCH, NEXT, ENDED)


@dataclass(frozen=True)
class Kill:
    """Who is sent what signal, on which engine."""

    whom: str
    number: int
    engine: str = "fork"

    @property
    def survives(self) -> bool:
        """Whether the conductor goes on."""
        return self.whom in ("base", "worker", "child")


@dataclass(frozen=True)
class Spans:
    """Seconds of an undisturbed sweep: from its call, and from the first instance, to its end."""

    whole: float
    work: float


def executed_once(folder: Path, engine: str) -> tuple[Trial, Spans]:
    """A project whose rows are all done, and how long a sweep of it takes."""
    done = Trial(folder / engine, ROWS)
    done.write_project(engine)
    codes = wait_until_ended([done.start(1, "made")])
    if codes != [0]:
        raise RuntimeError(f"the sweep without a fault failed:\n{(done.folder / 'made.log').read_text()}")
    frame = done.frame_file("made")
    end = frame.stat().st_mtime
    first = min(path.stat().st_mtime for path in (done.folder / "told").iterdir())
    return done, Spans(end - frame.with_name(f"{frame.name}.begun").stat().st_mtime, end - first)


def try_kill(case: Kill, done: Trial, folder: Path, spans: Spans) -> Findings | None:
    """What was found after one kill and the next run; `None` if the sweep had ended before it."""
    trial = Trial(folder, ROWS, like=done)
    try:
        conductor = trial.start(2, "killed")
        struck = _strike(trial, conductor, case, spans)
        (code,) = wait_until_ended([conductor])
        if not struck:
            return None
        expected = {0} if case.survives else {0, -case.number}
        found: Findings = [] if code in expected else [(ENDED, f"exit code {code}")]
        left = trial.processes_after(PATIENCE_S, free=case.whom != "all")
        found += [(PROCESSES, told) for told in left]
        found += _on_disk(trial)
        if case.survives:
            found += rows_against_records(trial, "killed")
        return found + _next_run(trial)
    finally:
        trial.end_all()


def _strike(trial: Trial, conductor: subprocess.Popen[bytes], case: Kill, spans: Spans) -> bool:
    """Send the signal at a random moment; false if the conductor has ended before."""
    begun = trial.frame_file("killed").with_suffix(".json.begun")
    while conductor.poll() is None and not (begun.exists() if not case.survives else _targets(conductor.pid, case)):
        time.sleep(0.005)
    time.sleep(random.uniform(0, spans.work if case.survives else spans.whole))
    while conductor.poll() is None:
        targets = _targets(conductor.pid, case)
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, case.number)
        if targets:
            return True
        time.sleep(0.005)
    return False


def _targets(conductor: int, case: Kill) -> list[int]:
    """Whom the signal goes to: one of its kind, or all."""
    family = _family(conductor)
    if case.whom == "all":
        return [pid for pids in family.values() for pid in pids]
    return random.sample(family[case.whom], 1) if family[case.whom] else []


def _family(conductor: int) -> dict[str, list[int]]:
    """The conductor's processes by what they do, without those that a flow has started."""
    family: dict[str, list[int]] = {"conductor": [conductor], "base": [], "worker": [], "child": []}
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        started = psutil.Process(conductor).children()
        bases = [process for process in started if "--base" in process.cmdline()]
        workers = [process for process in started if process not in bases]
        workers += [worker for base in bases for worker in base.children() if os.getsid(worker.pid) == worker.pid]
        children = [child for worker in workers for child in worker.children() if os.getpgid(child.pid) == child.pid]
        family["base"] = [process.pid for process in bases]
        family["worker"] = [process.pid for process in workers]
        family["child"] = [process.pid for process in children if process.name() != "sleep"]
    return family


def _on_disk(trial: Trial) -> Findings:
    """Whether each instance has whole results, of this version or the one before."""
    found = [(TORN, name) for name in trial.torn()]
    for name in trial.names:
        if trial.is_whole(name, 2):
            continue
        if is_done(trial, name, 2):
            found.append((LOST, f"{name} says done, and is not whole"))
        if not (trial.is_whole(name, 1) or trial.is_whole(name, 1, previous=True)):
            found.append((PREVIOUS, name))
    return found


def is_done(trial: Trial, name: str, version: int) -> bool:
    """Whether an instance's record says that it was executed at a version, and succeeded."""
    record = trial.record(name)
    value = version * trial.names.index(name)
    at = ((record or {}).get("fingerprint") or {}).get("config") or {}
    done = record is not None and record["status"] == "done" and record["results"] == {"value": value}
    return done and at.get("version") == version


def rows_against_records(trial: Trial, who: str) -> Findings:
    """Rows of a conductor's frame that say other than what is on disk."""
    frame = trial.frame(who)
    if frame is None:
        return [(ENDED, "no frame")]
    found = [(CONTRADICTS, f"no row {name}") for name in trial.names if name not in frame]
    for name, row in frame.items():
        record = trial.record(name) or {}
        said = "done" if row["status"] == "up to date" else row["status"]
        value = (record.get("results") or {}).get("value")
        if said != record.get("status") or (said == "done" and row["result.value"] != value):
            found.append((CONTRADICTS, f"{name}: {row['status']}, {record.get('status')}"))
    return found


def _next_run(trial: Trial) -> Findings:
    """Run it once more: what is done stays, what is missing is executed, each once."""
    finished = {name: trial.record(name) for name in trial.names if is_done(trial, name, 2)}
    before = trial.executions()
    (code,) = wait_until_ended([trial.start(2, "next")])
    after = trial.executions()
    again = {name: len(after[name]) - len(before.get(name, [])) for name in after}
    found: Findings = [(TWICE, name) for name in finished if again.get(name)]
    found += [(TWICE, f"{name} in one sweep") for name, begun in before.items() if len(begun) > 1]
    found += [(LOST, name) for name, record in finished.items() if trial.record(name) != record]
    found += [(NEXT, name) for name in trial.names if name not in finished and again.get(name) != 1]
    found += [(NEXT, f"exit code {code}")] if code != 0 else []
    return found + after_all(trial, "next", 2)


def after_all(trial: Trial, who: str, version: int) -> Findings:
    """After the last run: every row is done and whole, and nothing else is there."""
    found = rows_against_records(trial, who)
    found += [(NEXT, f"{name} is not whole") for name in trial.names if not trial.is_whole(name, version)]
    found += [(TORN, name) for name in [*trial.torn(), *trial.halves()]]
    found += [(PROCESSES, told) for told in trial.processes_after(PATIENCE_S)]
    return found + [(SCRATCH, path.name) for path in trial.temporary.iterdir()]


KILLS = {
    "conductor, SIGKILL": Kill("conductor", signal.SIGKILL),
    "conductor, SIGTERM": Kill("conductor", signal.SIGTERM),
    "conductor, Ctrl-C": Kill("conductor", signal.SIGINT),
    "worker, SIGKILL": Kill("worker", signal.SIGKILL),
    "worker, SIGTERM": Kill("worker", signal.SIGTERM),
    "worker, SIGKILL, engine spawn": Kill("worker", signal.SIGKILL, "spawn"),
    "instance's process, SIGKILL": Kill("child", signal.SIGKILL),
    "instance's process, SIGTERM": Kill("child", signal.SIGTERM),
    "base process, SIGKILL": Kill("base", signal.SIGKILL),
    "all of them together, SIGKILL": Kill("all", signal.SIGKILL),
    "all of them together, SIGTERM": Kill("all", signal.SIGTERM),
}

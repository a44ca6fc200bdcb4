"""Several conductors of the same rows at once, and one conductor of very many rows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fault_checks import (
    CONTRADICTS,
    ENDED,
    LOST,
    NEXT,
    PATIENCE_S,
    PROCESSES,
    SCRATCH,
    TWICE,
    Findings,
    after_all,
    is_done,
    rows_against_records,
)
from benchmarks.fault_conductor import Conductor
from benchmarks.fault_project import Trial
from benchmarks.processes import private_bytes, run_module

ROWS = 100
WORKERS = 2
WIDEST_KILL_S = 4.0  # from the call on: about what a hundred rows take two conductors
EMPTY = '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nprint(config["n"])\n'


@dataclass(frozen=True)
class Together:
    """How many conductors have the same rows, and whether one of them is killed."""

    conductors: int
    killed: bool = False


TOGETHER = {
    "two conductors, 100 rows": Together(2),
    "two conductors, one killed": Together(2, killed=True),
    "five conductors, 100 rows": Together(5),
    "five conductors, one killed": Together(5, killed=True),
}


def try_together(case: Together, folder: Path, rounds: int) -> Iterator[Findings]:
    """What was found after each of so many rounds in one project: conductors begin together, and the rows are new."""
    trial = Trial(folder, ROWS)
    trial.write_project("fork")
    company = Company(trial, case)
    try:
        made = 0
        while made < rounds:
            found = company.round()
            if found is None:
                continue
            made += 1
            yield found + (company.leave() if made == rounds else [])
    finally:
        trial.end_all()


class Company:
    """Conductors that begin together, round after round; a killed one is replaced."""

    def __init__(self, trial: Trial, case: Together) -> None:
        self._trial = trial
        self._case = case
        self._version = 0
        self._span = WIDEST_KILL_S
        self._conductors: dict[str, Conductor] = {}

    def _gather(self) -> None:
        """As many as there must be, and each ready to begin."""
        for number in range(self._case.conductors - len(self._conductors)):
            who = f"c{self._version}.{number}"
            self._conductors[who] = self._trial.conductor(who)
        for conductor in self._conductors.values():
            conductor.wait_for(conductor.ready)

    def _frame(self, who: str) -> Path:
        return self._trial.frame_file(f"{who}-{self._version}")

    def round(self) -> Findings | None:
        """What was found after one round; `None` if the one to be killed had ended before."""
        self._gather()
        self._version += 1
        begun = time.monotonic()
        for who, conductor in self._conductors.items():
            conductor.order(self._version, self._frame(who))
        killed = self._kill_one() if self._case.killed else None
        found: Findings = []
        for who, conductor in self._conductors.items():
            if not conductor.wait_for(self._frame(who)):
                found.append((ENDED, f"{who}: exit code {conductor.wait()}"))
        self._span = time.monotonic() - begun
        if self._case.killed and killed is None:
            return found or None
        if killed is not None:
            found += [(PROCESSES, told) for told in self._trial.left_after(PATIENCE_S, [], killed).values()]
        return found + self._look(killed)

    def _kill_one(self) -> str | None:
        """Who was killed at a random moment; `None` if it had ended before."""
        who = random.choice([*self._conductors])
        time.sleep(random.uniform(0, self._span))
        if not self._conductors[who].is_at(self._frame(who)):
            return None
        conductor = self._conductors.pop(who)
        conductor.kill(signal.SIGKILL)
        conductor.wait()
        return who

    def _look(self, killed: str | None) -> Findings:
        """Every row done, by one of them; nothing is left to do for one that comes after them."""
        trial, found = self._trial, list[tuple[str, str]]()
        for who in self._conductors:
            frame = self._frame(who).stem
            found += rows_against_records(trial, frame)
            failed = [name for name, row in (trial.frame(frame) or {}).items() if row["status"] == "failed"]
            found += [(CONTRADICTS, f"{name} failed") for name in failed]
        found += self._shared_out(killed)
        found += [(LOST, name) for name in trial.names if not is_done(trial, name, self._version)]
        before, last = trial.executions(), next(iter(self._conductors.values()))
        frame = f"next-{self._version}"
        last.order(self._version, trial.frame_file(frame))
        if not last.wait_for(trial.frame_file(frame)):
            found.append((ENDED, f"exit code {last.wait()}"))
        found += [(TWICE, "by the next run")] if trial.executions() != before else []
        return found + after_all(trial, frame, self._version, [*self._conductors.values()])

    def _shared_out(self, killed: str | None) -> Findings:
        """Each row was executed once; again only what the killed one was executing, at most one a worker."""
        told, now = self._trial.executions(), self._version
        whose = {name: [who for at, who in told.get(name, []) if at == now] for name in self._trial.names}
        found: Findings = [(NEXT, f"{name} was not executed") for name, by in whose.items() if not by]
        twice = {name: by for name, by in whose.items() if len(by) > 1}
        begun_by_killed = [name for name, by in twice.items() if by[0] == killed and len(by) == 2]
        found += [(TWICE, f"{name}: {by}") for name, by in twice.items() if name not in begun_by_killed]
        return found + [(TWICE, f"{name} of the killed one") for name in begun_by_killed[WORKERS:]]

    def leave(self) -> Findings:
        """Tell all to leave: nothing of them may be left."""
        codes = {who: conductor.leave() for who, conductor in self._conductors.items()}
        self._conductors = {}
        found: Findings = [(ENDED, f"{who}: exit code {code}") for who, code in codes.items() if code != 0]
        found += [(PROCESSES, told) for told in self._trial.left_after(PATIENCE_S, []).values()]
        return found + [(SCRATCH, name) for name in self._trial.scratch_left()]


def long_sweep(count: int) -> tuple[dict[str, Any], list[Path]]:
    """What one conductor holds after a tenth of so many instances and at the end, and what its temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        project, temporary = Path(folder) / "project", Path(folder) / "temporary"
        temporary.mkdir()
        (project / "flow").mkdir(parents=True)
        (project / "flow/step.py").write_text(EMPTY, encoding="utf-8")
        (project / "pyproject.toml").write_text('[project]\nname = "long"\n', encoding="utf-8")
        os.environ["TMPDIR"] = str(temporary)
        try:
            told = run_module("benchmarks.fault_sweeps", count, cwd=project).printed
        finally:
            del os.environ["TMPDIR"]
        return told, list(temporary.iterdir())


def watch(count: int) -> dict[str, Any]:
    """Run that many instances here, and look meanwhile at what this process and its workers hold."""
    import pandas as pd

    from ductaflow import run_instances

    samples: dict[int, dict[str, int]] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.25):
            with contextlib.suppress(OSError):
                number = len(os.listdir("runs/step"))
                if number >= count // 10:
                    samples[number] = _held()

    looker = threading.Thread(target=look)
    looker.start()
    try:
        rows = pd.DataFrame({"instance_name": [f"r{number:05}" for number in range(count)], "n": range(count)})
        frame = run_instances(rows, "flow/step.py", workers=WORKERS, on_error="continue")
    finally:
        ended.set()
        looker.join()
    statuses = Counter(frame["status"])
    return {"first": samples[min(samples)], "last": samples[max(samples)], "at": [*samples], "done": statuses["done"]}


def _held() -> dict[str, int]:
    """Of this process and of its workers together: handles, threads and private memory; and what is in the way."""
    own = psutil.Process()
    bases = own.children()
    workers = [worker for base in bases for worker in base.children()]
    held = {"entries in the temporary directory": len(os.listdir(tempfile.gettempdir()))}
    for name, processes in {"conductor": [own], "base process": bases, "workers": workers}.items():
        held[f"{name}: handles"] = sum(process.num_fds() for process in processes)
        held[f"{name}: threads"] = sum(process.num_threads() for process in processes)
        held[f"{name}: private memory, MB"] = round(sum(private_bytes(process.pid) for process in processes) / 1e6)
    return held


if __name__ == "__main__":
    sys.stdout.write(json.dumps(watch(int(sys.argv[1]))) + "\n")

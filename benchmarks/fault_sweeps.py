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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fault_kills import (
    CONTRADICTS,
    ENDED,
    LOST,
    NEXT,
    PATIENCE_S,
    PROCESSES,
    TWICE,
    Findings,
    after_all,
    is_done,
    rows_against_records,
)
from benchmarks.fault_project import Trial, wait_until_ended
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


def try_together(case: Together, folder: Path) -> Findings | None:
    """What was found after conductors that began together; `None` if the first had ended before it was killed."""
    trial = Trial(folder, ROWS)
    trial.write_project("fork")
    try:
        names = [f"c{number}" for number in range(case.conductors)]
        conductors = [trial.start(1, name) for name in names]
        first = trial.frame_file("c0").with_suffix(".json.begun")
        if case.killed:
            while not first.exists() and conductors[0].poll() is None:
                time.sleep(0.005)
            time.sleep(random.uniform(0, WIDEST_KILL_S))
            conductors[0].kill()
        codes = wait_until_ended(conductors)
        if case.killed and codes[0] != -signal.SIGKILL:
            return None
        survivors = names[1:] if case.killed else names
        found: Findings = [(ENDED, f"exit code {code}") for code in codes[len(names) - len(survivors) :] if code != 0]
        found += [(PROCESSES, told) for told in trial.processes_after(PATIENCE_S)]
        for who in survivors:
            found += rows_against_records(trial, who)
            failed = [name for name, row in (trial.frame(who) or {}).items() if row["status"] == "failed"]
            found += [(CONTRADICTS, f"{name} failed") for name in failed]
        found += _shared_out(trial, "c0" if case.killed else None)
        found += [(LOST, name) for name in trial.names if not is_done(trial, name, 1)]
        return found + _nothing_left_to_do(trial)
    finally:
        trial.end_all()


def _shared_out(trial: Trial, killed: str | None) -> Findings:
    """Each row was executed once; again only what the killed one was executing, which is at most one a worker."""
    executions = trial.executions()
    found: Findings = [(NEXT, f"{name} was not executed") for name in trial.names if name not in executions]
    twice = {name: [who for _, who in told] for name, told in executions.items() if len(told) > 1}
    begun_by_killed = [name for name, whose in twice.items() if whose[0] == killed and len(whose) == 2]
    found += [(TWICE, f"{name}: {whose}") for name, whose in twice.items() if name not in begun_by_killed]
    return found + [(TWICE, f"{name} of the killed one") for name in begun_by_killed[WORKERS:]]


def _nothing_left_to_do(trial: Trial) -> Findings:
    before = trial.executions()
    (code,) = wait_until_ended([trial.start(1, "next")])
    found: Findings = [(NEXT, f"exit code {code}")] if code != 0 else []
    found += [(TWICE, "by the next run")] if trial.executions() != before else []
    return found + after_all(trial, "next", 1)


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

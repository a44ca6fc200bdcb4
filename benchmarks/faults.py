# ruff: noqa: T201 - a command that prints its table
"""What is left when a sweep is broken off: `python -m benchmarks.faults [CASE...] [--trials N] [--results FILE]`.

Trials are made in small projects, in a temporary folder, whose rows are all done. The rows are then executed anew,
somebody is killed at a random moment, and what is on disk is looked at, before and after one more run. A case is named
by the beginning of its line. With a file of results, each trial is added to it, and a later call makes only those that
are missing there. Where no case is left out, FAULTS.md is written.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fault_checks import CHECKS, Findings
from benchmarks.fault_kills import KILLS, Spans, executed_twice, try_kills
from benchmarks.fault_project import Trial
from benchmarks.fault_sweeps import TOGETHER, long_sweep, try_together

TRIALS = 100
LONG = "one conductor, 5,000 instances"
KILLS_IN_ONE = 10  # one after the other in one project
ROUNDS_IN_ONE = 5
AT_ONCE = 4  # projects in which somebody is killed; those of several conductors come one after the other
Attempt = Callable[[Path, int], Iterator[Findings]]


@dataclass
class Tally:
    """How many trials of a case there were, and in how many of them each check failed."""

    case: str
    trials: int = 0
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))

    def add(self, found: Findings) -> None:
        """Count one trial."""
        self.trials += 1
        for check in {check for check, _ in found}:
            self.failed[check] += 1

    @property
    def row(self) -> str:
        """A line of the table."""
        return f"| {self.case} | {self.trials} | " + " | ".join(str(self.failed[check]) for check in CHECKS) + " |"


class Results:
    """The trials that were made, by case: in memory, and as lines of a file, if there is one."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.lines: list[dict[str, Any]] = []
        if file is not None and file.exists():
            self.lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def add(self, case: str, **told: Any) -> None:
        """One more trial."""
        with self._lock:
            self.lines.append({"case": case, "commit": commit(), **told})
            if self._file is not None:
                with open(self._file, "a", encoding="utf-8") as file:
                    file.write(json.dumps(self.lines[-1]) + "\n")

    def of(self, case: str) -> list[dict[str, Any]]:
        """The trials of a case; where something was found and another commit has been tried since, those of that."""
        lines = [line for line in self.lines if line["case"] == case]
        for place, line in reversed([*enumerate(lines)]):
            if line.get("found") and line["commit"] != commit():
                return [other for other in lines[place:] if other["commit"] != line["commit"]]
        return lines

    def tally(self, case: str) -> Tally:
        """How often something was found in a case."""
        tally = Tally(case)
        for line in self.of(case):
            tally.add(line["found"])
        return tally


@dataclass(frozen=True)
class Bench:
    """Where trials are made, what came of them, and where projects are kept in which something was wrong."""

    folder: Path
    results: Results
    keep: Path | None

    def make(self, case: str, attempt: Attempt, trials: int, in_one: int, at_once: int) -> None:
        """Make the trials of a case that are missing, some in each project; what is found is told as it comes."""
        missing = trials - len(self.results.of(case))
        sizes = [min(in_one, missing - begun) for begun in range(0, missing, in_one)]
        with ThreadPoolExecutor(at_once) as threads:
            for _ in threads.map(lambda each: self._make_in_one(case, attempt, *each), enumerate(sizes)):
                pass
        print(self.results.tally(case).row, flush=True)

    def _make_in_one(self, case: str, attempt: Attempt, number: int, trials: int) -> None:
        folder = self.folder / f"{case.replace(' ', '-')}-{number}"
        wrong = False
        for found in attempt(folder, trials):
            wrong = wrong or bool(found)
            self.results.add(case, found=found)
            for check, what in found:
                print(f"{case}: {check}: {what}", file=sys.stderr, flush=True)
        if wrong and self.keep is not None:
            shutil.copytree(folder, self.keep / folder.name, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def make_trials(bench: Bench, cases: list[str], trials: int) -> None:
    """All that are missing of these cases; of several conductors a fifth as many."""
    made: dict[str, tuple[Trial, Spans]] = {}
    for case, kill in KILLS.items():
        if case in cases:
            if kill.engine not in made:
                made[kill.engine] = executed_twice(bench.folder, kill.engine)
            done, spans = made[kill.engine]

            def kills(folder: Path, count: int, kill=kill, done=done, spans=spans) -> Iterator[Findings]:
                return try_kills(kill, done, folder, spans, count)

            bench.make(case, kills, max(1, round(trials * kill.share)), KILLS_IN_ONE, AT_ONCE)
    for case, together in TOGETHER.items():
        if case in cases:

            def rounds(folder: Path, count: int, together=together) -> Iterator[Findings]:
                return try_together(together, folder, count)

            bench.make(case, rounds, max(1, trials // 5), ROUNDS_IN_ONE, 1)


@functools.cache
def commit() -> str:
    """What is tried."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()


def table_of(counted: list[Tally]) -> str:
    """In how many of how many trials something was found."""
    heads = ["what is ended, and how", "trials", *CHECKS]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1), *(tally.row for tally in counted)]
    return "\n".join(lines)


def table_of_long(told: dict[str, Any], left: list[str]) -> str:
    """What a long sweep holds at its tenth part and at its end."""
    at: list[int] = told["at"]
    lines = [f"| | after {min(at):,} | after {max(at):,} |", "|---|---:|---:|"]
    first: dict[str, Any] = told["first"]
    lines += [f"| {what} | {first[what]} | {told['last'][what]} |" for what in first]
    lines += [f"| instances done, in the end | | {told['done']:,} |"]
    lines += [f"| entries in the temporary directory, once it has ended | | {len(left)} |"]
    return "\n".join(lines)


def page_of(results: Results, cases: list[str]) -> str:
    """The tables of these cases."""
    commits = ", ".join(dict.fromkeys(f"`{line['commit']}`" for line in results.lines))
    text = PAGE.format(commits=commits, table=table_of([results.tally(case) for case in cases if case != LONG]))
    long = results.of(LONG) if LONG in cases else []
    return text + (LONG_PAGE.format(table=table_of_long(long[-1]["told"], long[-1]["left"])) if long else "")


def main() -> None:
    """Make the trials, print the tables, and write them if they are whole."""
    known = [*KILLS, *TOGETHER, LONG]
    parser = argparse.ArgumentParser(description="Break sweeps off, and look at what is left.", epilog="; ".join(known))
    parser.add_argument("case", nargs="*", help="the beginning of a case's name; without, all of them")
    parser.add_argument("--trials", type=int, help=f"of each case of killing, {TRIALS} if not said", default=TRIALS)
    parser.add_argument("--instances", type=int, default=5000, help="of the long sweep")
    parser.add_argument("--results", type=Path, help="a file of trials, which is added to")
    parser.add_argument("--keep", type=Path, help="where projects are kept in which something was wrong")
    options = parser.parse_args()
    cases = [case for case in known if not options.case or case.startswith(tuple(options.case))]
    results = Results(options.results)
    with tempfile.TemporaryDirectory() as folder:
        make_trials(Bench(Path(folder).resolve(), results, options.keep), cases, options.trials)
    if LONG in cases and not results.of(LONG):
        told, left = long_sweep(options.instances)
        results.add(LONG, told=told, left=[path.name for path in left])
    page = page_of(results, cases)
    print(page)
    if cases == known:
        (Path(__file__).parent / "FAULTS.md").write_text(page, encoding="utf-8")


PAGE = """# Faults, tried

Written by `python -m benchmarks.faults`. The numbers are trials in which something was found that must not be; each
trial ends with one more run. Several trials are made in one project, one after the other. Tried were the commits
{commits}; a case in which something was found is tried anew once that is mended.

<!-- faults -->
{table}
<!-- end of faults -->
"""
LONG_PAGE = """
## One conductor of many instances

A flow that prints one line, on two workers; handles, threads and private memory of all processes of a kind together.
The conductor's memory grows with its rows, about 10 KB each: the plan, what the record says, and the row's line of the
status page. It is free again when the call has ended.

{table}
"""


if __name__ == "__main__":
    main()

# ruff: noqa: T201 - a command that prints its table
"""What is left when a sweep is broken off: `python -m benchmarks.faults [CASE...] [--trials N] [--keep FOLDER]`.

Each trial has a small project of its own, in a temporary folder, whose rows are all done. Its rows are then executed
anew, somebody is killed at a random moment, and what is on disk is looked at, before and after one more run. A case
is named by the beginning of its line. Where no case is left out, FAULTS.md is written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fault_kills import CHECKS, KILLS, Findings, Spans, executed_once, try_kill
from benchmarks.fault_project import Trial
from benchmarks.fault_sweeps import TOGETHER, long_sweep, try_together

TRIALS = 25
LONG = "one conductor, 5,000 instances"
AT_ONCE = 4  # trials of killing; those of several conductors come one after the other
_ATTEMPTS = 4  # a trial that comes too late is made again


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


@dataclass(frozen=True)
class Bench:
    """Where trials are made, how many of each case, and where those are kept in which something was wrong."""

    folder: Path
    trials: int
    keep: Path | None

    def tally(self, case: str, attempt: Callable[[Path], Findings | None], trials: int, at_once: int) -> Tally:
        """Make the trials of a case; what is found is told as it comes."""
        tally = Tally(case)
        with ThreadPoolExecutor(at_once) as threads:
            for found in threads.map(lambda number: self._once(case, attempt, number), range(trials)):
                if found is not None:
                    tally.add(found)
        print(tally.row, flush=True)
        return tally

    def _once(self, case: str, attempt: Callable[[Path], Findings | None], number: int) -> Findings | None:
        for again in range(_ATTEMPTS):
            folder = self.folder / f"{case.replace(' ', '-')}-{number}-{again}"
            found = attempt(folder)
            if found:
                print(*(f"{case}: {check}: {what}" for check, what in found), sep="\n", file=sys.stderr, flush=True)
                if self.keep is not None:
                    shutil.copytree(folder, self.keep / folder.name, symlinks=True)
            shutil.rmtree(folder, ignore_errors=True)
            if found is not None:
                return found
        return None


def tallies(bench: Bench, cases: list[str]) -> Iterator[Tally]:
    """One for each case, in the order of the table."""
    made: dict[str, tuple[Trial, Spans]] = {}
    for case, kill in KILLS.items():
        if case in cases:
            if kill.engine not in made:
                made[kill.engine] = executed_once(bench.folder, kill.engine)
            done, spans = made[kill.engine]

            def attempt(folder: Path, kill=kill, done=done, spans=spans) -> Findings | None:
                return try_kill(kill, done, folder, spans)

            yield bench.tally(case, attempt, bench.trials, AT_ONCE)
    for case, together in TOGETHER.items():
        if case in cases:
            trials = max(1, bench.trials // 5)
            yield bench.tally(case, lambda folder, together=together: try_together(together, folder), trials, 1)


def table_of(counted: list[Tally]) -> str:
    """In how many of how many trials something was found."""
    heads = ["what is ended, and how", "trials", *CHECKS]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1), *(tally.row for tally in counted)]
    return "\n".join(lines)


def table_of_long(count: int) -> str:
    """What a long sweep holds at its tenth part and at its end."""
    told, left = long_sweep(count)
    at: list[int] = told["at"]
    lines = [f"| | after {min(at):,} | after {max(at):,} |", "|---|---:|---:|"]
    first: dict[str, Any] = told["first"]
    lines += [f"| {what} | {first[what]} | {told['last'][what]} |" for what in first]
    lines += [f"| instances done, in the end | | {told['done']:,} |"]
    lines += [f"| entries in the temporary directory, once it has ended | | {len(left)} |"]
    return "\n".join(lines)


def main() -> None:
    """Try the cases, print the table, and write it if it is whole."""
    known = [*KILLS, *TOGETHER, LONG]
    parser = argparse.ArgumentParser(description="Break sweeps off, and look at what is left.", epilog="; ".join(known))
    parser.add_argument("case", nargs="*", help="the beginning of a case's name; without, all of them")
    parser.add_argument("--trials", type=int, help=f"of each case of killing, {TRIALS} if not said")
    parser.add_argument("--instances", type=int, default=5000, help="of the long sweep")
    parser.add_argument("--keep", type=Path, help="where trials are kept in which something was wrong")
    options = parser.parse_args()
    cases = [case for case in known if not options.case or case.startswith(tuple(options.case))]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder).resolve(), options.trials or TRIALS, options.keep)
        text = PAGE.format(table=table_of(list(tallies(bench, cases))))
    if LONG in cases:
        text += LONG_PAGE.format(table=table_of_long(options.instances))
    print(text)
    if cases == known:
        (Path(__file__).parent / "FAULTS.md").write_text(text, encoding="utf-8")


PAGE = """# Faults, tried

Written by `python -m benchmarks.faults`. The numbers are trials in which something was found that must not be; each
trial ends with one more run.

<!-- faults -->
{table}
<!-- end of faults -->
"""
LONG_PAGE = """
## One conductor of many instances

A flow that prints one line, on two workers; handles, threads and private memory of all processes of a kind together.
The conductor keeps the frame of all rows, and makes the page of results at the end.

{table}
"""


if __name__ == "__main__":
    main()

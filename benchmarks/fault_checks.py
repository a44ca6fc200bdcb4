"""What must not be after a sweep was broken off, and how it is looked for."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.fault_conductor import Conductor
from benchmarks.fault_project import Trial

PATIENCE_S = 3.0

# What must not be, each with the word that stands over its column.
Findings = list[tuple[str, str]]
LOST, PREVIOUS, TWICE, TORN = "finished result lost", "previous not whole", "executed twice", "torn or temporary file"
CONTRADICTS, PROCESSES, SCRATCH = "row against record", "process 3 s later", "scratch folder left"
NEXT, ENDED = "next run not exact", "hangs or breaks"
CHECKS = (LOST, PREVIOUS, TWICE, TORN, CONTRADICTS, PROCESSES, SCRATCH, NEXT, ENDED)


def is_done(trial: Trial, name: str, version: int) -> bool:
    """Whether an instance's record says that it was executed at a version, and succeeded."""
    record = trial.record(name)
    value = version * trial.names.index(name)
    at = ((record or {}).get("fingerprint") or {}).get("config") or {}
    done = record is not None and record["status"] == "done" and record["results"] == {"value": value}
    return done and at.get("version") == version


def rows_against_records(trial: Trial, frame: str) -> Findings:
    """Rows of a conductor's frame that say other than what is on disk."""
    rows = trial.frame(frame)
    if rows is None:
        return [(ENDED, "no frame")]
    found = [(CONTRADICTS, f"no row {name}") for name in trial.names if name not in rows]
    for name, row in rows.items():
        record = trial.record(name) or {}
        said = "done" if row["status"] == "up to date" else row["status"]
        value = (record.get("results") or {}).get("value")
        if said != record.get("status") or (said == "done" and row["result.value"] != value):
            found.append((CONTRADICTS, f"{name}: {row['status']}, {record.get('status')}"))
    return found


def after_all(trial: Trial, frame: str, version: int, living: Sequence[Conductor]) -> Findings:
    """After the last run: every row is done and whole, and nothing else is there but conductors that wait."""
    found = rows_against_records(trial, frame)
    found += [(NEXT, f"{name} is not whole") for name in trial.names if not trial.is_whole(name, version)]
    found += [(TORN, name) for name in [*trial.torn(), *trial.halves()]]
    found += [(PROCESSES, told) for told in trial.left_after(PATIENCE_S, living).values()]
    return found + [(SCRATCH, name) for name in trial.scratch_left(living)]

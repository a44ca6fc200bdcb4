"""Reads what the page needs from each instance's folder; a damaged record is listed with its reason.

A sweep rewrites the page every few seconds, so a record is parsed again only when its file changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ductaflow_runtime.status_page.columns import flatten

KNOWN_SCHEMA = 1
RECORD_FILE = "run.json"
STATUSES = ("done", "failed", "interrupted", "running")

Order = tuple[tuple[int, int, str], ...]
IsAlive = Callable[[Path, Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of the page. `status` adds `warned` and `unreadable` to those of the record."""

    step: str
    name: str
    directory: Path
    status: str
    problem: str | None = None
    record: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notebook: str = ""
    began: int | None = None
    warnings: int = 0
    order: tuple[Order, Order] = ((), ())


class InstanceReader:
    """Finds the instances under `runs_dir`, keeping what it parsed while the file stays the same."""

    def __init__(self, runs_dir: Path, is_alive: IsAlive) -> None:
        self._runs_dir = runs_dir
        self._is_alive = is_alive
        self._parsed: dict[str, tuple[tuple[int, int] | None, Instance]] = {}

    def read(self) -> list[Instance]:
        """All instances, by step and then by name in natural order (`x9` before `x10`)."""
        seen: dict[str, tuple[tuple[int, int] | None, Instance]] = {}
        for step, directory in _instance_folders(self._runs_dir):
            stamp = _stamp(f"{directory}/{RECORD_FILE}")
            known = self._parsed.get(directory)
            if known is None or stamp is None or known[0] != stamp:
                found = _read_instance(step, Path(directory), stamp)
                if found is None:
                    continue
                known = (stamp, found)
            seen[directory] = known
        self._parsed = seen
        found_all = [self._with_liveness(instance) for _, instance in seen.values()]
        return sorted(found_all, key=lambda one: one.order)

    def _with_liveness(self, instance: Instance) -> Instance:
        if instance.status != "running" or self._is_alive(instance.directory, instance.record):
            return instance
        return replace(instance, status="interrupted", problem="the process that ran it is gone")


def natural_key(name: str) -> Order:
    """Orders digits by value and letters without case."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts))


def milliseconds(timestamp: object) -> int | None:
    """An ISO time as milliseconds since 1970, or None when it is missing or damaged."""
    if not isinstance(timestamp, str):
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _instance_folders(runs_dir: Path) -> Iterator[tuple[str, str]]:
    """Plain texts, since ten thousand `Path` objects a writing cost more than the look at the disk."""
    for step in _folders(str(runs_dir)):
        for instance in _folders(f"{runs_dir}/{step}"):
            yield step, f"{runs_dir}/{step}/{instance}"


def _folders(parent: str) -> list[str]:
    try:
        with os.scandir(parent) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _read_instance(step: str, directory: Path, stamp: tuple[int, int] | None) -> Instance | None:
    """None for a folder that no execution has written to."""
    files = _file_names(directory)
    if stamp is None and RECORD_FILE not in files and not _looks_executed(files):
        return None
    record, problem = _read_record(directory / RECORD_FILE)
    order = natural_key(step), natural_key(directory.name)
    if problem is not None:
        return Instance(step, directory.name, directory, "unreadable", problem, files=files, order=order)
    warnings = _count(record.get("warnings"))
    results = record.pop("results", None)
    config = _config_of(record, directory)
    record.pop("fingerprint", None)
    return Instance(
        step=step,
        name=directory.name,
        directory=directory,
        status="warned" if warnings and record["status"] == "done" else record["status"],
        record=record,
        config=flatten(config),
        results=flatten(results) if isinstance(results, dict) else {},
        files=files,
        notebook=PurePosixPath(str(record.get("flow") or "")).stem + ".ipynb",
        began=milliseconds(record.get("started")),
        warnings=warnings,
        order=order,
    )


def _count(number: object) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def _file_names(directory: Path) -> tuple[str, ...]:
    try:
        with os.scandir(directory) as entries:
            return tuple(entry.name for entry in entries)
    except OSError:
        return ()


def _looks_executed(files: tuple[str, ...]) -> bool:
    return "config.json" in files or "run.log" in files or any(name.endswith(".ipynb") for name in files)


def _read_record(path: Path) -> tuple[dict[str, Any], str | None]:
    """The record, or an empty one and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        record: Any = json.loads(text) if text.strip() else None
    except FileNotFoundError:
        return {}, "run.json is missing"
    except OSError as error:
        return {}, f"run.json cannot be read: {error.strerror or error}"
    except RecursionError:
        return {}, "run.json is nested too deeply"
    except ValueError as error:
        return {}, f"run.json is not valid JSON: {str(error)[:120]}"
    problem = _fault(record)
    return ({}, problem) if problem else (record, None)


def _fault(record: object) -> str | None:
    if record is None:
        return "run.json is empty"
    if not isinstance(record, dict):
        return "run.json does not hold an object"
    if record.get("schema") != KNOWN_SCHEMA:
        return f"run.json has schema {_shown(record.get('schema'))}; this page reads {KNOWN_SCHEMA}"
    if record.get("status") not in STATUSES:
        return f"run.json has an unknown status: {_shown(record.get('status'))}"
    return None


def _shown(value: object) -> str:
    return json.dumps(value)[:40]


def _config_of(record: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The recorded config, else the file beside the record: a child that died early left only that."""
    fingerprint = record.get("fingerprint")
    config = fingerprint.get("config") if isinstance(fingerprint, dict) else None
    if isinstance(config, dict):
        return config
    try:
        loaded = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}

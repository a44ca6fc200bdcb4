"""What an execution is while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.execution.warning_count import Counter
from ductaflow_runtime.staleness.tracking import Tracker


@dataclass
class Execution:
    """Where the running flow is, what it saved, what it read and how often it warned.

    `results` are by the names that `save_results` was given, objects as they were given; `tables` are what the record
    says of the tables that it wrote.
    `last_import` is the module that had been imported last when the flow began.
    """

    root: Path
    directory: Path
    runs_dir: Path
    tracker: Tracker
    results: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    script: bool = False
    last_import: str | None = None
    warned: Counter = field(default_factory=Counter)

    @property
    def named_results(self) -> Config:
        """The results as the record has them: what lies in objects by its dotted name."""
        return flatten(self.results)

"""Warnings as data: how often the flow called `warnings.warn`, or logged at WARNING or above."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any


@dataclass
class Counter:
    """How many warnings this process has shown."""

    count: int = 0


def count_warnings() -> Counter:
    """Begin to count, without changing what is shown or logged."""
    counter = Counter()
    show: Any = warnings.showwarning
    make: Any = logging.getLogRecordFactory()

    def shown(*args: Any, **kwargs: Any) -> None:
        counter.count += 1
        show(*args, **kwargs)

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = make(*args, **kwargs)
        counter.count += record.levelno >= logging.WARNING and not record.name.startswith("ductaflow.")
        return record

    warnings.showwarning = shown
    logging.setLogRecordFactory(made)
    return counter

"""Warnings as data: how often the flow called `warnings.warn`, or logged at WARNING or above."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

# IPython warns so of every `sys.exit`, as if somebody had wanted to leave a terminal.
_OF_AN_EXIT = "To exit: use 'exit', 'quit'"


@dataclass
class Counter:
    """How many warnings this process has shown."""

    count: int = 0

    def add(self) -> None:
        """One more, that the runtime itself has to tell."""
        self.count += 1


def count_warnings(so_far: int = 0) -> Counter:
    """Begin to count, without changing what is shown or logged; `so_far` were shown before."""
    counter = Counter(so_far)
    module: Any = warnings
    show, plainly = module._showwarnmsg, module._showwarnmsg_impl
    make: Any = logging.getLogRecordFactory()

    def shown(message: Any) -> None:
        # Not while the flow collects warnings itself, nor when logging passes them on and counts them.
        apart = module._showwarnmsg_impl is not plainly or str(message.message).startswith(_OF_AN_EXIT)
        counter.count += not apart and module.showwarning is not getattr(logging, "_showwarning", None)
        show(message)

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = make(*args, **kwargs)
        counter.count += record.levelno >= logging.WARNING and not record.name.startswith("ductaflow.")
        return record

    module._showwarnmsg = shown
    logging.setLogRecordFactory(made)
    return counter

"""What of an execution's imports its worker may do ahead for the next one: what packages import on their own.

Never what code of the project names: that may be imported in one row and not in the next, and be told by its effects.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.prepare import study
from ductaflow_runtime.flow.import_order import MAYBE, SETS
from ductaflow_runtime.worker.import_ahead import is_installed, order_of, top_of


def imported_by_packages(job: Job, imported: Iterable[str]) -> list[str]:
    """Of the modules that an execution has imported itself, those of packages of which its code has named no part.

    A package that has such a part is left out as a whole: its parts may import each other.
    """
    new = set(imported)
    installed = [name for name in new if is_installed(name)]
    named = set(_named(job, new)) if installed else set()
    if SETS in named:
        return []
    theirs = {top_of(name) for name in named & new}
    return sorted(name for name in installed if top_of(name) not in theirs)


def _named(job: Job, imported: Iterable[str]) -> Iterator[str]:
    """The names of modules in the flow's code and in that of the project's modules; `SETS` where code can say more."""
    orders = [study(Path(job.flow), job.content)[1].order]
    for name in imported:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not is_installed(name):
            orders.append(order_of(Path(file)))
    for step in (step for order in orders for step in order):
        module, _, attribute = step.lstrip(MAYBE).partition(":")
        yield module
        if attribute:
            yield f"{module}.{attribute}"

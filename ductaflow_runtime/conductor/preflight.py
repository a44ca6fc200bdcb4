"""What is certain to fail is told before anything runs, once: a flow or module that is no Python, a missing module.

Only what nothing can make good: an import in a function, in `try`, behind `if`, or below code that may change what
there is to import, is left to the flow.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

from ductaflow_runtime.conductor.module_search import Search
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.config.secrets import problems_of
from ductaflow_runtime.errors import ConfigError, FlowFileError
from ductaflow_runtime.flow.code import FLOW
from ductaflow_runtime.memory import amount, limit_problem, machine_memory
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.terminal import say

_MOST = 10


def check_before_running(call: Call) -> None:
    """Raise one `FlowFileError` for all that is certain to fail in every row."""
    code = call.code
    if code.kernel is not None or call.options.kernel_name is not None:
        return
    flow = call.project.relative(call.flow)
    problems = [text.replace(FLOW, flow, 1) for text in code.broken]
    if not call.options.elsewhere:
        problems += Search(call.flow.parent, call.project.root, code).problems(flow)
    if problems:
        more = [f"  and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
        lines = [f"  - {problem}" for problem in problems[:_MOST]]
        raise FlowFileError("\n".join([f"nothing was run, for {flow} would fail in every row:", *lines, *more]))


def check_secrets(call: Call, plans: Sequence[Plan]) -> None:
    """Raise one `ConfigError` for the secrets of rows that must run and that cannot be looked up here.

    What executes elsewhere looks them up there, and an instance that misses one fails.
    """
    if call.options.elsewhere:
        return
    found = (
        f"{plan.instance.name}: {problem}"
        for plan in plans
        if plan.reason
        for problem in problems_of(plan.instance.config)
    )
    problems = list(itertools.islice(found, _MOST + 1))
    if problems:
        more = ["and others"] if len(problems) > _MOST else []
        raise ConfigError("nothing was run, for secrets of these rows are missing:", [*problems[:_MOST], *more])


def tell_of_shared_cells(call: Call) -> None:
    """Say which cells are tagged `shared` and yet executed by each instance, and why."""
    notes = list(call.code.shared_notes)
    if call.code.shared and call.project.settings.copy_inputs:
        notes.append("copy_inputs puts files into the folder of each instance, which executes its shared cells itself")
    for note in notes:
        _tell_once(call.flow, f"ductaflow: {call.project.relative(call.flow)}: {note}")


def check_memory(call: Call, at_once: int) -> None:
    """Raise `ConfigError` for a limit of memory that cannot be kept here; say once if the machine is too small."""
    limit, machine = call.options.bytes_of_memory, machine_memory()
    if limit is None or call.options.elsewhere:
        return
    problem = limit_problem(limit)
    if problem is not None:
        raise ConfigError(problem)
    if machine is not None and at_once * limit > machine:
        together = f"{at_once} instances at a time" if at_once > 1 else "one instance"
        fitting = f"workers = {machine // limit}, or a lower limit, fits" if limit <= machine else "a lower limit fits"
        _tell_once(
            call.flow,
            f"ductaflow: {together} with max_memory = {amount(limit)} may hold {amount(at_once * limit)}, more than "
            f"the {amount(machine)} of this machine; {fitting}",
        )


@functools.cache
def _tell_once(_flow: Path, line: str) -> None:
    say(line)

"""What is certain to fail is told before anything runs, once: a flow or module that is no Python, a missing module.

Only what nothing can make good: an import in a function, in `try`, behind `if`, or below code that may change what
there is to import, is left to the flow.
"""

from __future__ import annotations

import functools
from pathlib import Path

from ductaflow_runtime.conductor.module_search import Search
from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.flow.code import FLOW
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


def tell_of_shared_cells(call: Call) -> None:
    """Say which cells are tagged `shared` and yet executed by each instance, and why."""
    notes = list(call.code.shared_notes)
    if call.code.shared and call.project.settings.copy_inputs:
        notes.append("copy_inputs puts files into the folder of each instance, which executes its shared cells itself")
    for note in notes:
        _tell_once(call.flow, f"ductaflow: {call.project.relative(call.flow)}: {note}")


@functools.cache
def _tell_once(_flow: Path, line: str) -> None:
    say(line)

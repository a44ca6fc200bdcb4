"""The execution that this process is in the middle of, as the flow's own calls see it.

Set by the runtime in the process that executes a flow, by `load_cli_config` in a script, and found
through the environment in a Jupyter kernel that papermill started for us. Interactive use has none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from ductaflow_runtime.execution.handoff import HANDOFF, adopt
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.execution.script_reads import watching
from ductaflow_runtime.staleness.tracking import Tracker

# Global, for a flow's calls take no handle: a process is in the middle of one execution or of none.
_current: Execution | None = None


def begin(execution: Execution) -> None:
    """Make `execution` the one that the flow's calls refer to."""
    global _current
    _current = execution


def current() -> Execution | None:
    """The execution of this process, if it is one."""
    if _current is None and HANDOFF in os.environ and in_kernel():
        begin(adopt(os.environ[HANDOFF]))
    return _current


def current_tracker() -> Tracker | None:
    """What notes the inputs of this process's execution, or of a script that may still turn out to be one."""
    running = current()
    return running.tracker if running is not None else watching()


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """While the runtime works for a call inside a flow: what it reads in this thread is no input of the flow."""
    tracker = current_tracker()
    if tracker is None:
        yield
    else:
        with tracker.looking_away():
            yield


def in_kernel() -> bool:
    """Whether this process is a Jupyter, VS Code or IPython kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None

"""How a script ended: at its last line, by `sys.exit`, or with an error, and in which cell.

Python tells nobody at exit, so it is noted on the way: errors in `sys.excepthook`, codes in `sys.exit`. Whether an
exit was the end or was caught, the script's own frame says.
"""

from __future__ import annotations

import builtins
import dis
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from ductaflow_runtime.execution.advice import advise
from ductaflow_runtime.execution.failure import means_success
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.script_text import top_level_frame
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.flow.notebook import cell_at_line
from ductaflow_runtime.runs.failure import Failure, exited, interrupted, of_script
from ductaflow_runtime.runs.states import Status

_CODE_UNKNOWN = "raised otherwise than by sys.exit(), so that its code is not known"


class ScriptEnd:
    """Listens from the CLI cell on; asked once the script has ended."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._flow = job.flow
        self._root = Path(job.root)
        self._top_level = top_level_frame()
        self._error: Failure | None = None
        self._interrupted = self._broken_off = False
        self._exits: list[tuple[Any, list[int]]] = []

    def listen(self) -> None:
        """Begin to note errors and exits."""
        self._hook_errors()
        self._hook_exits()
        self._hook_interrupts()

    def judge(self) -> tuple[Status, Failure | None]:
        """What the record says of the script; what is left of one that caught its interrupt and went on is partial."""
        if self._interrupted:
            return Status.INTERRUPTED, self._error if self._broken_off else interrupted()
        error = self._error or self._early_exit()
        return (Status.DONE if error is None else Status.FAILED), error

    def _hook_errors(self) -> None:
        show = sys.excepthook

        def hook(kind: Any, error: Any, trace: Any) -> None:
            self._broken_off = issubclass(kind, KeyboardInterrupt)
            self._interrupted = self._interrupted or self._broken_off
            failure = advise(of_script(error, trace, None), self._job)
            self._error = self._located(failure, self._lines(traceback.walk_tb(trace)))
            show(kind, error, trace)

        sys.excepthook = hook

    def _hook_interrupts(self) -> None:
        """Ctrl-C is noted as it comes, in front of what Python, or the script so far, does about it."""
        usual = signal.getsignal(signal.SIGINT)
        if not callable(usual) or threading.current_thread() is not threading.main_thread():
            return  # ignored, as in the background of a shell

        def noted(number: int, frame: FrameType | None) -> Any:
            self._interrupted = True
            return usual(number, frame)

        signal.signal(signal.SIGINT, noted)
        if usual is signal.default_int_handler:
            signal.default_int_handler = noted  # asyncio looks for it, and a script may put it back

    def _hook_exits(self) -> None:
        """`SystemExit` reaches no hook, so its code is noted where it is raised."""
        leave = sys.exit

        def noted(status: Any = None) -> Any:
            self._exits.append((status, self._lines(reversed([*traceback.walk_stack(sys._getframe(1))]))))
            leave(status)

        sys.exit = noted
        builtins.exit = builtins.quit = noted  # type: ignore[assignment]
        # A script may have taken the function by name before: `from sys import exit`.
        names = self._top_level.f_globals if self._top_level is not None else {}
        names.update({name: noted for name, value in names.items() if value is leave})

    def _early_exit(self) -> Failure | None:
        """The exit that ended the script, if it was one and no success: an exit that was caught does not count."""
        if _ran_to_its_end(self._top_level):
            return None
        code, lines = self._exits[-1] if self._exits else (_CODE_UNKNOWN, [])
        if (
            not lines
            and self._top_level is not None
            and os.path.samefile(self._top_level.f_code.co_filename, self._flow)
        ):
            lines = [self._top_level.f_lineno]
        return None if means_success(code) else self._located(exited(code), lines)

    def _lines(self, frames: Iterable[tuple[FrameType, int]]) -> list[int]:
        """The lines of the flow's own file among frames and their lines."""
        flow = os.path.realpath(self._flow)
        return [line for frame, line in frames if os.path.realpath(frame.f_code.co_filename) == flow]

    def _located(self, failure: Failure, lines: list[int]) -> Failure:
        """With the cell that was executing, that of the first of the flow's `lines`, and the last of them as place."""
        if not lines:
            return failure
        text = Path(self._flow).read_text(encoding="utf-8")
        code = text.splitlines()[lines[-1] - 1 :][:1]
        place = f"{relative_to_root(self._flow, self._root)}:{lines[-1]}: {code[0].strip()}" if code else None
        return replace(failure, cell=cell_at_line(text, lines[0]), place=place)


def _ran_to_its_end(top_level: FrameType | None) -> bool:
    """Whether the last thing that a script's top level did was to return, not to be left by an exception.

    A frame outlives its execution and keeps the place of its last instruction.
    """
    if top_level is None or not 0 <= top_level.f_lasti < len(top_level.f_code.co_code):
        return False
    return dis.opname[top_level.f_code.co_code[top_level.f_lasti]].startswith("RETURN")

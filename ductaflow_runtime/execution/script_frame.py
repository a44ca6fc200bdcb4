"""Where in its own file a script is: the cell of an error, and whether it came to its end."""

from __future__ import annotations

import dis
import os
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from ductaflow_runtime.notebook import cell_at_line


def module_frame() -> FrameType | None:
    """The frame in which the script's own top level runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame


def ran_to_its_end(module: FrameType | None) -> bool:
    """Whether the last thing that a script's top level did was to end, not to be left by an exception."""
    if module is None or not 0 <= module.f_lasti < len(module.f_code.co_code):
        return False
    return dis.opname[module.f_code.co_code[module.f_lasti]].startswith("RETURN")


def cell_of(flow: str, trace: Any) -> int | None:
    """The number of the code cell in which an error passed through the flow's own file."""
    line = None
    for frame, number in traceback.walk_tb(trace):
        if os.path.realpath(frame.f_code.co_filename) == os.path.realpath(flow):
            line = number
    if line is None:
        return None
    return cell_at_line(Path(flow).read_text(encoding="utf-8"), line)

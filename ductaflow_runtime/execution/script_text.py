"""The text of a script that is running, and the place that its top level has come to."""

from __future__ import annotations

import ast
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.flow.notebook import parameters_lines, read_bytes
from ductaflow_runtime.parameters.script_order import Disorder, Script, find_disorder


@dataclass(frozen=True)
class ScriptText:
    """What a script's file holds at this moment, and the frame of the script's top level, where there is one."""

    path: Path
    content: bytes
    frame: FrameType | None

    @property
    def line(self) -> int:
        """The line that the top level is executing."""
        return self.frame.f_lineno if self.frame is not None else 0


def read_script(path: Path) -> ScriptText:
    """The text of the script that this process runs; raises `FlowFileError` if it cannot be read."""
    return ScriptText(path, read_bytes(path), top_level_frame())


def top_level_frame() -> FrameType | None:
    """The frame in which the script's own top level runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame


def check_text(script: ScriptText) -> None:
    """Raise `FlowFileError` if the script's file was edited after Python had read it."""
    if not _is_what_runs(script):
        raise FlowFileError(
            f"{script.path} was edited after Python had read it, so that a record would tell of another text: "
            "start it again"
        )


def check_order(script: ScriptText, *, as_config: bool) -> None:
    """Raise `FlowFileError` if what a notebook is given would not arrive here, or arrive too late."""
    if script.frame is None or not _is_what_runs(script):
        return
    tree = ast.parse(script.content)
    cell = parameters_lines(script.content.decode("utf-8", "replace"), _quoted_lines(tree))
    disorder = find_disorder(Script(tree, cell, script.line), as_config=as_config) if cell is not None else None
    if disorder is not None:
        raise FlowFileError(_told(script, disorder, "load_cli_config" if as_config else "load_cli_parameters"))


def _is_what_runs(script: ScriptText) -> bool:
    """Whether Python has compiled the text that is in the file now; true where that cannot be told."""
    if script.frame is None:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return script.frame.f_code == compile(script.content, str(script.path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False


def _told(script: ScriptText, disorder: Disorder, call: str) -> str:
    if disorder.anew:
        found = (
            f"assigns `{disorder.name}` anew, below the call of {call} in line {script.line}, so what is given is lost"
        )
    else:
        found = (
            f"computes with `{disorder.name}` above the call of {call} in line {script.line}, "
            "with the default, where a notebook has what it is given"
        )
    return f"{script.path}:{disorder.line} {found}: move that call right below the parameters cell"


def _quoted_lines(tree: ast.Module) -> set[int]:
    """The lines that begin inside a text of several lines."""
    texts = [node for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))]
    return {line for text in texts for line in range(text.lineno + 1, (text.end_lineno or text.lineno) + 1)}

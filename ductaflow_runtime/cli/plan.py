"""`ductaflow plan`: what an instance of a flow, or a whole conductor, would execute, and why. Executes nothing."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ductaflow_runtime.cli.common import echo
from ductaflow_runtime.errors import DuctaflowError, FlowFileError

if TYPE_CHECKING:
    from ductaflow_runtime.project import Project
    from ductaflow_runtime.staleness.decision import Plan

_CALLS = frozenset(["run_instances", "run_notebook", "run_step_flow"])
_OF_FLOWS = frozenset(["load_cli_config", "load_cli_parameters", "is_notebook_execution"])
_PARAMETERS = re.compile(r"""tags=\[[^]]*["']parameters["']""")
_MOST = 5


def is_conductor(path: Path) -> bool:
    """Whether a file runs flows and is none itself: it has no parameters and nothing that a flow calls.

    Raises `FlowFileError` for one that is no Python, but reads like a conductor.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except SyntaxError as error:
        words = set(re.findall(r"\w+(?=\()", text))
        if path.suffix == ".py" and words & _CALLS and not words & _OF_FLOWS and not _PARAMETERS.search(text):
            where = f"{path}:{error.lineno}: {(error.text or '').strip()}"
            raise FlowFileError(f"nothing can be planned: {where}: SyntaxError: {error.msg}") from None
        return False
    except (OSError, ValueError):
        return False
    called = {_called(node) for node in ast.walk(tree)}
    return path.suffix == ".py" and bool(called & _CALLS) and not called & _OF_FLOWS and not _PARAMETERS.search(text)


def plan_conductor(path: Path) -> None:
    """Rehearse a conductor and say, step by step, what it would execute; raises what the conductor raises of ours."""
    from ductaflow_runtime.conductor.no_changes import NoChanges
    from ductaflow_runtime.conductor.rehearsal import rehearsing
    from ductaflow_runtime.conductor.unknown import RehearsalEnds

    end: list[str] = []
    failed = False
    with rehearsing() as rehearsal:
        NoChanges(rehearsal, _project_of(path)).install()
        try:
            _run(path)
            rehearsal.go_on()
        except RehearsalEnds as error:
            end = _told_end(path, error.__traceback__, f"which {error}")
        except SystemExit as error:
            failed = error.code not in (None, 0)
            end = _told_end(path, error.__traceback__, f"where it exits: {error.code}") if failed else []
        except DuctaflowError as error:
            failed = True
            end = _told_end(path, error.__traceback__, f"where it ends with an error: {error}")
        except Exception as error:  # noqa: BLE001 - whatever the conductor raises
            failed = True
            end = _told_end(path, error.__traceback__, f"where it raises {type(error).__name__}: {error}")
        with rehearsal.aside():
            for line in [*_told_steps(rehearsal.steps), *end, "nothing was executed"]:
                echo(line)
    if failed:
        sys.exit(1)


def _project_of(path: Path) -> Project:
    from ductaflow_runtime.project import Project, find_root

    root = find_root()
    return Project.at(root if (root / "pyproject.toml").is_file() else find_root(path.resolve().parent))


def _run(path: Path) -> None:
    """As `python conductor.py`, with what it prints left out: it speaks of results that may not be there."""
    os.environ["MPLBACKEND"] = "Agg"  # a plan opens no windows
    sys.argv = [str(path)]
    sys.path.insert(0, str(path.resolve().parent))
    with contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(path), run_name="__main__")


def _told_steps(steps: dict[str, list[Plan]]) -> Iterator[str]:
    from ductaflow_runtime.conductor.announcement import announce

    for step, plans in steps.items():
        idle = [plan for plan in plans if plan.told is None and not plan.waits]
        yield announce(step, plans, sum(plan.only_text_changed for plan in idle))
    if not steps:
        yield "no step was planned"


def _told_end(path: Path, trace: TracebackType | None, why: str) -> list[str]:
    """Where the plan ends, and what it could not get to."""
    name = os.path.realpath(path)
    places = [
        (number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(trace)
        if os.path.realpath(frame.f_code.co_filename) == name
    ]
    line, within = places[-1] if places else (0, "")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    told = [f"the plan ends at {path}:{line}, {why}" if line else f"the plan ends, {why}"]
    if line:
        told.append(f"    {text.splitlines()[line - 1].strip()}")
    after = [call for call in _calls_in(tree) if call[0] > line]
    told += [f"not planned: {path}:{number} {flow}" for number, flow in after[:_MOST]]
    if len(after) > _MOST:
        told.append(f"and {len(after) - _MOST} more calls")
    if not after and within == "<module>" and not _is_in_loop(tree, line):
        told.append("no step comes after that")
    return told


def _is_in_loop(tree: ast.Module, line: int) -> bool:
    loops = [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While))]
    return any(loop.lineno <= line <= (loop.end_lineno or line) for loop in loops)


def _calls_in(tree: ast.Module) -> list[tuple[int, str]]:
    """The lines that run flows, each with the flow as far as it is a text."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in _CALLS:
            texts = [value.value for value in ast.walk(node) if isinstance(value, ast.Constant)]
            flow = next((each for each in texts if isinstance(each, str) and each.endswith((".py", ".ipynb"))), "")
            found.append((node.lineno, flow or f"{_called(node)}(...)"))
    return sorted(found)


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")

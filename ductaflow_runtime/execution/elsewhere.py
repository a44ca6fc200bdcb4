"""What a flow looks for in the folder that it works in, the instance's, and its author meant from elsewhere.

An error says so by itself. A pattern that nothing matches raises none: then this warns, for its files are missing.
"""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path

from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.staleness.tracking import Pattern

WORKS_ELSEWHERE = "but a flow works in its instance's folder"


def bases(flow: Path, root: Path) -> tuple[tuple[Path, str, str], ...]:
    """Where a name may have been meant from, and how one says that it is there, and that several are."""
    return (
        (root, "the project has it", "the project has such files"),
        (flow.parent, "seen from the flow's folder it is there", "seen from the flow's folder there are such files"),
    )


def seek(named: str, flow: Path, root: Path) -> tuple[str, str] | None:
    """Where a relative name means something that is there: how to say so, and the path as the records store it."""
    for base, where, _ in bases(flow, root):
        found = Path(os.path.normpath(base / named))
        if found.exists():
            return where, relative_to_root(found, root)
    return None


def warn_of_patterns(execution: Execution, flow: Path) -> None:
    """From now on, warn in an execution of `flow` of each relative pattern that matches only files elsewhere."""
    seen: set[Pattern] = set()

    def look(pattern: Pattern) -> None:
        if pattern in seen:
            return
        seen.add(pattern)
        text = _warning(pattern, execution.directory, flow, execution.root)
        if text is not None:
            execution.warned.add()
            with contextlib.suppress(OSError):  # by the descriptor: no variable of the flow's is used or changed
                os.write(2, f"ductaflow: {text}\n".encode("utf-8", "backslashreplace"))

    execution.tracker.on_pattern = look


def _warning(pattern: Pattern, own: Path, flow: Path, root: Path) -> str | None:
    named = relative_to_root(os.path.join(own, pattern.folder, pattern.text), own)
    if os.path.isabs(named) or os.getcwd() != os.path.realpath(own):
        return None
    parts = [part for part in named.split("/") if part not in ("", ".")]
    fixed = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    # Whole trees are not searched, of which there may be large ones: their top folder is there, or it is not.
    wanted = parts[:fixed] if "**" in parts or pattern.call == "os.walk" else parts
    if not wanted or (fixed == 0 and len(parts) > 1) or _matches(own, wanted):
        return None
    for base, _, where in bases(flow, root):
        if _matches(base, wanted):
            top = relative_to_root(os.path.normpath(base.joinpath(*parts[:fixed])), root)
            cure = _cure(pattern.call, top, "/".join(parts[fixed:]))
            return f"{'/'.join(parts)!r} matches nothing here; {where}, {WORKS_ELSEWHERE}: {cure} finds them"
    return None


def _matches(base: Path, parts: list[str]) -> bool:
    return next(glob.iglob(os.path.join(glob.escape(str(base)), *parts)), None) is not None


def _cure(call: str, top: str, rest: str) -> str:
    """The call that finds what matches `rest` in the folder `top`, as it is typed."""
    if call == "Path.glob":
        folder = f"Path({top!r})" if os.path.isabs(top) else f"project_path({top!r})"
        return f"{folder}.glob({rest!r})"
    path = f"{top}/{rest}" if rest else top
    found = repr(path) if os.path.isabs(path) else f"project_path({path!r})"
    if call == "os.walk":
        return f"os.walk({found})"
    more = ", recursive=True" if "**" in rest else ""
    return f"glob.glob({found if os.path.isabs(path) else f'str({found})'}{more})"

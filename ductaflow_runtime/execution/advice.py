"""What to do about an error where its message alone does not say it: a name that its author meant from elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ductaflow_runtime.config.values import texts_in
from ductaflow_runtime.execution.context import current
from ductaflow_runtime.execution.elsewhere import WORKS_ELSEWHERE, seek
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.runs.failure import Failure

_NO_FILE = re.compile(r"'([^']+)'$")
_NO_FOLDER = re.compile(r"^Cannot save file into a non-existent directory: '([^']+)'$")  # pandas
_NO_MODULE = re.compile(r"^No module named '([\w.]+)'")


def advise(error: Failure, job: Job) -> Failure:
    """The error, with what to do in brackets, if its author meant a place from the flow's folder or the root.

    The flow looked for it in the folder that it works in, the instance's.
    """
    advice = None
    if error.type == "FileNotFoundError" and (told := _NO_FILE.search(error.message)):
        # Where the flow puts its working directory before a name, that is the same.
        named = relative_to_root(told[1], job.instance.directory)
        folder = _missing_folder(os.path.dirname(named), job) if _is_written(named) else None
        advice = _of_input(named, job) if folder is None else _of_output(folder)
    elif error.type == "OSError" and (told := _NO_FOLDER.search(error.message)):
        folder = _missing_folder(relative_to_root(told[1], job.instance.directory), job)
        advice = None if folder is None else _of_output(folder)
    elif error.type == "ModuleNotFoundError" and (told := _NO_MODULE.search(error.message)):
        advice = _of_module(told[1], job)
    return error if advice is None else replace(error, message=f"{error.message} ({advice})")


def _of_input(named: str, job: Job) -> str | None:
    found = None if os.path.isabs(named) else seek(named, Path(job.flow), Path(job.root))
    if found is None:
        return None
    where, inside = found
    finds = f"its full path {inside!r}" if os.path.isabs(inside) else f"project_path({inside!r})"
    advice = f"{where}, {WORKS_ELSEWHERE}: {finds} finds it"
    if not job.copy_inputs and _would_be_copied(named, job):
        advice += ", and so does the flow as it is with copy_inputs = true under [tool.ductaflow] in pyproject.toml"
    return advice


def _would_be_copied(named: str, job: Job) -> bool:
    """Whether `copy_inputs` would help: a file below the flow's folder, which code or config name as it is."""
    below = not os.path.normpath(named).startswith("..") and (Path(job.flow).parent / named).is_file()
    return below and (named in texts_in(job.config) or named in job.content.decode("utf-8-sig", "replace"))


def _is_written(named: str) -> bool:
    """Whether the flow was seen to open this name in the instance's folder to write to it."""
    running = current()
    return running is not None and os.path.normpath(named) in running.tracker.made


def _missing_folder(named: str, job: Job) -> str | None:
    """The folder, if it is missing in the instance's and its author has it beside the flow or in the project."""
    if named in ("", ".") or os.path.isabs(named) or os.path.normpath(named).startswith(".."):
        return None
    there = seek(named, Path(job.flow), Path(job.root))
    return None if there is None or (job.instance.directory / named).exists() else named


def _of_output(folder: str) -> str:
    return (
        f"what a flow writes goes into its instance's folder, which has no folder {folder!r} yet: "
        f"os.makedirs({folder!r}, exist_ok=True) before this line makes it"
    )


def _of_module(name: str, job: Job) -> str | None:
    inside = name.replace(".", "/")
    for folder in _folders(job):
        if any((folder / f"{inside}{ending}").is_file() for ending in (".py", "/__init__.py")):
            place = relative_to_root(folder, Path(job.root))
            return (
                f"the project has it in {place}, and a relative folder in sys.path is seen from the instance's folder: "
                f"sys.path.append(str(project_path({place!r}))) before the import finds it"
            )
    return None


def _folders(job: Job) -> Iterator[Path]:
    """The folders in the project's and in the flow's, but results and what is hidden."""
    for above in dict.fromkeys((Path(job.root), Path(job.flow).parent)):
        for folder in sorted(above.iterdir()):
            if folder.is_dir() and not folder.name.startswith(".") and folder != Path(job.runs_dir):
                yield folder

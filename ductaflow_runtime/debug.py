"""Taking one instance apart: its own flow as a notebook, to be run cell by cell.

The notebook lies in a fresh folder under `ductaflow-debug/` in the project, which keeps itself out of git.
Not in the system's temporary folder, which may be emptied while somebody still works there, and not in a
hidden one, whose files Jupyter refuses to open. Every call makes a new folder: the run began in a clean
one too, and what was tried before stays. Nothing in `runs/` is written.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import DuctaflowError, RecordError
from ductaflow_runtime.execution.context import begin
from ductaflow_runtime.execution.copied_inputs import copy_inputs
from ductaflow_runtime.execution.prepare import inject as fill
from ductaflow_runtime.execution.running import Execution
from ductaflow_runtime.flow.analysis import find_flow
from ductaflow_runtime.flow.cells import analyse_notebook
from ductaflow_runtime.flow.notebook import INJECTED, OURS, has_tag, read_bytes, read_notebook, save_notebook
from ductaflow_runtime.parameters.inject import given_to
from ductaflow_runtime.parameters.keys import FlowKeys
from ductaflow_runtime.project import Project, find_root, places_of, set_import_path
from ductaflow_runtime.runs.artifacts import NO_FILE, snapshot
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.look import stored_config, values_of
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import STATES
from ductaflow_runtime.staleness.named import named_in
from ductaflow_runtime.staleness.tracking import Tracker

if TYPE_CHECKING:
    from nbformat import NotebookNode

SCRATCH = "ductaflow-debug"
_LONGEST = 100


@dataclass(frozen=True)
class Case:
    """An instance whose last execution is looked at."""

    root: Path
    flow: Path
    record: Record
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """Step and instance."""
        return f"{self.record.directory.parent.name}/{self.record.directory.name}"


def make_debug_notebook(run_dir: str | os.PathLike[str]) -> Path:
    """The path of a notebook that holds today's flow with an instance's config, the failing cell marked.

    `run_dir` is `runs/STEP/NAME`, relative to the working directory or the project root, or `STEP/NAME`. Raises
    `DuctaflowError` if it is no instance, or its record, config, flow or the project's settings cannot be read.
    """
    case = open_case(run_dir)
    notebook = read_notebook(case.flow, read_bytes(case.flow))
    code = analyse_notebook(case.flow, notebook)
    mark_failure(case, notebook)
    folder = fresh_folder(case)
    copy_foreign_files(case.record, folder)
    if Project.at(case.root).settings.copy_inputs:
        copy_inputs(named_in(code, case.config), case.flow, folder)
    notebook = inject(case, notebook, code.keys)
    if code.kernel is None:
        notebook.cells.insert(1, _code_cell(preparation(case, folder), "ductaflow-enter"))
    path = folder / f"{case.flow.stem}.ipynb"
    save_notebook(notebook, path)
    return path


def open_case(run_dir: str | os.PathLike[str]) -> Case:
    """Read what is known of an instance."""
    directory = find_directory(run_dir)
    record = read_record(directory)
    if record is None:
        raise DuctaflowError(f"{directory} is not an instance: it holds no run.json (runs/STEP/NAME is wanted)")
    if not record.flow:
        raise RecordError(f"{directory / 'run.json'} does not say which flow was run")
    root = find_root(directory)
    if not (root / "pyproject.toml").is_file():
        root = find_root()
    return Case(root, find_flow(root / record.flow, root), record, stored_config(directory))


def told(case: Case) -> Iterator[str]:
    """How an instance ended, where, and what it was given, in lines for a terminal."""
    error = case.record.error
    cause = "" if error is None else f": {error.line}"
    yield f"{case.name}: its last run {STATES[case.record.status].ending}{cause}"
    if error is not None and error.place:
        yield f"  {error.place}"
    given = values_of(case.record)
    width = max(map(len, given), default=0)
    yield "given:" if given else "given: nothing"
    for key, value in given.items():
        yield f"  {key:<{width}}  {_shorten(json.dumps(value, ensure_ascii=False))}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def find_directory(run_dir: str | os.PathLike[str]) -> Path:
    """The instance's folder: under the working directory, else under the project root, else among the results."""
    root = find_root()
    places = places_of(run_dir, root)
    found = next((place for place in (*places, Project.at(root).runs_dir / run_dir) if place.is_dir()), None)
    if found is None:
        tried = " or ".join(map(str, places))
        raise DuctaflowError(f"no such instance: {tried} is not a folder (runs/STEP/NAME is wanted)")
    return found


def fresh_folder(case: Case) -> Path:
    """An empty folder for this look at the instance."""
    top = case.root / SCRATCH
    parent = top / case.name
    parent.mkdir(parents=True, exist_ok=True)
    (top / ".gitignore").write_text("*\n", encoding="utf-8")
    number = 1
    while True:
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return parent / str(number)


def copy_foreign_files(record: Record, folder: Path) -> None:
    """Take along what somebody else put into the instance's folder: the flow may read it from there."""
    there = {name for name, seen in snapshot(record.directory, record.flow_stem).items() if seen != NO_FILE}
    for name in there - {*(record.outputs or {}), *record.attempt_logs}:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(record.directory / name, target)


def mark_failure(case: Case, notebook: NotebookNode) -> None:
    """Say at the top what this is, and, just before the cell that failed, how it failed."""
    error = case.record.error
    number = error.cell if error is not None else None
    codes = [index for index, each in enumerate(notebook.cells) if each.cell_type == "code"]
    today = find_cell(case, notebook, number) if isinstance(number, int) else None
    top = _heading(case)
    if today is not None and 0 < today <= len(codes):
        text = f"**The next cell, number {today}, failed in the run of {case.record.started}.**"
        notebook.cells.insert(codes[today - 1], _markdown_cell(text + _cause(error), "ductaflow-failed"))
    else:
        where = f" It failed in cell {number}, which has changed since then." if number else ""
        top += where + _cause(error)
    notebook.cells.insert(0, _markdown_cell(top, "ductaflow"))


def find_cell(case: Case, notebook: NotebookNode, number: int) -> int | None:
    """Where the code cell that had this number in the run is today; `None` if it is no longer there."""
    ran = case.record.fingerprint.code.cells if case.record.fingerprint is not None else None
    today = analyse_notebook(case.flow, notebook).cells
    if not ran or len(ran) == len(today) or not 0 < number <= len(ran):
        return number
    found = [index for index, cell in enumerate(today, 1) if cell == ran[number - 1]]
    return found[0] if len(found) == 1 else None


def _heading(case: Case) -> str:
    flow = case.record.flow
    return (
        f"Made by `ductaflow debug`: `{flow}` with the config of `{case.name}`, whose last run "
        f"{STATES[case.record.status].ending}. Running these cells changes nothing in the results. "
        f"Mend `{flow}` itself, then run the conductor again."
    )


def _cause(error: Failure | None) -> str:
    """The error as an indented block: whatever it holds stays text."""
    if error is None:
        return ""
    lines = f"{error.type}: {error.message}".splitlines()
    return "\n\n" + "\n".join(f"    {line}" for line in lines)


def inject(case: Case, notebook: NotebookNode, keys: FlowKeys) -> NotebookNode:
    """Put the config after the parameters cell, as an execution does."""
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    metadata = notebook.metadata
    metadata.pop("jupytext", None)  # it may pair the notebook with a file elsewhere
    metadata["papermill"] = {}
    if "kernelspec" not in metadata:
        metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    kernel, language = metadata["kernelspec"]["name"], metadata["kernelspec"].get("language", "python")
    filled = fill(notebook, given_to(case.flow, keys, case.config), kernel, language)
    del filled.metadata["papermill"]
    for cell in filled.cells:
        if has_tag(cell, INJECTED):
            cell["id"] = "ductaflow-config"
    return filled


def preparation(case: Case, folder: Path) -> str:
    """The code of the cell that makes the kernel see what the run saw."""
    runs_dir = case.record.directory.parent.parent
    given = [str(each) for each in (case.root, case.flow.parent, runs_dir, folder)]
    names = ("root", "flow_folder", "runs_dir", "folder")
    lines = [f"    {name}={value!r}," for name, value in zip(names, given, strict=True)]
    return "\n".join(["from ductaflow_runtime.debug import enter", "", "enter(", *lines, ")"])


def enter(*, root: str, flow_folder: str, runs_dir: str, folder: str) -> None:
    """In the notebook's kernel: paths, imports and upstream results as in the run, but `folder` to write in."""
    os.chdir(folder)
    set_import_path(Path(flow_folder), Path(root))
    tracker = Tracker(root=root, own=folder)
    begin(Execution(Path(root), Path(folder), Path(runs_dir), tracker))


def open_command(path: Path) -> list[str]:
    """What opens a notebook here: VS Code if this is its terminal, else Jupyter, else VS Code."""
    beside = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    names = ["jupyter-lab", "jupyter-notebook", "code"]
    if os.environ.get("TERM_PROGRAM") == "vscode":
        names.insert(0, names.pop())
    for name in names:
        found = shutil.which(name, path=os.pathsep.join(beside))
        if found:
            return [found, str(path)]
    return []


def _markdown_cell(text: str, cell_id: str) -> NotebookNode:
    import nbformat.v4

    cell: NotebookNode = nbformat.v4.new_markdown_cell(text, id=cell_id, metadata={"tags": [OURS]})
    return cell


def _code_cell(source: str, cell_id: str) -> NotebookNode:
    import nbformat.v4

    cell: NotebookNode = nbformat.v4.new_code_cell(source, id=cell_id, metadata={"tags": [OURS]})
    return cell

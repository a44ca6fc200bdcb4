"""An instance that need not run: bring its stored notebook's text up to date around the existing outputs."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import FlowFileError, RecordError
from ductaflow_runtime.flow import read_bytes, read_notebook
from ductaflow_runtime.instance import Instance
from ductaflow_runtime.record import Outcome, Record, read_record, write_record
from ductaflow_runtime.staleness import Present

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.plan import Plan
    from ductaflow_runtime.project import Settings

_OURS = ("ductaflow", "injected-parameters", "papermill-error-cell-tag")


def refresh(plan: Plan, record: Record, present: Present, settings: Settings, html: bool) -> Record:
    """Execute nothing; rewrite the notebook if only its text changed, make a page that is missing."""
    changed = plan.only_text_changed
    if changed:
        record = _refresh_notebook(plan.instance, present.code(plan.instance.flow).fingerprint())
    has_page = record.html.is_file()
    if record.notebook.is_file() and (changed if has_page else html):
        import nbformat

        from ductaflow_runtime.html import export_page

        stored = nbformat.read(record.notebook, as_version=4)
        export_page(stored, record.html, show_code=settings.code)
    return record.but(skipped=True, outcome=Outcome.REFRESHED if changed else Outcome.UP_TO_DATE)


def _refresh_notebook(instance: Instance, code: dict[str, Any]) -> Record:
    record = read_record(instance.directory)
    if record is None:
        raise RecordError(f"{instance.directory} has lost its run.json; run the conductor again")
    if record.notebook.is_file():
        import nbformat

        from ductaflow_runtime.engine import save_notebook

        stored = nbformat.read(record.notebook, as_version=4)
        flow = read_notebook(instance.flow, read_bytes(instance.flow))
        save_notebook(merge(stored, flow), record.notebook)
    fingerprint = {**(record.fingerprint or {}), "code": code}
    record = record.but(fingerprint=fingerprint)
    write_record(record)
    return record


def merge(stored: NotebookNode, flow: NotebookNode) -> NotebookNode:
    """The flow's present cells with the stored outputs; code cells correspond one to one, in order."""
    own = [cell for cell in stored.cells if not _is_ours(cell)]
    codes = iter([cell for cell in own if cell.cell_type == "code"])
    cells = [cell for cell in stored.cells[:1] if "ductaflow" in cell.metadata.get("tags", [])]
    injected = [cell for cell in stored.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    for cell in flow.cells:
        if cell.cell_type == "code":
            old = next(codes, None)
            if old is None:
                raise FlowFileError("the stored notebook has fewer code cells than the flow")
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
            cell.metadata = {**{k: v for k, v in old.metadata.items() if k != "tags"}, **cell.metadata}
        cells.append(cell)
        if "parameters" in cell.metadata.get("tags", []):
            cells += injected
    merged = copy.copy(stored)
    merged["cells"] = cells
    return merged


def _is_ours(cell: NotebookNode) -> bool:
    return any(tag in _OURS for tag in cell.metadata.get("tags", []))

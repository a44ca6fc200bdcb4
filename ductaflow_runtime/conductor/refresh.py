"""An instance that need not run: bring its stored notebook's text up to date around the existing outputs.

Nobody's row depends on that, so what cannot be refreshed is left as it is, with a line that says so.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ductaflow_runtime.errors import FlowFileError, InstanceBusyError
from ductaflow_runtime.flow import read_bytes, read_notebook
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import Outcome, Record, write_record
from ductaflow_runtime.staleness.inventory import held
from ductaflow_runtime.staleness.why_stale import Present

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.conductor.plan import Plan

_LONGEST = 120
_OURS = ("ductaflow", "injected-parameters", "papermill-error-cell-tag")


def refresh(plan: Plan, record: Record, present: Present, html: bool) -> Record:
    """Execute nothing; rewrite the notebook if only its text changed, make a page that is missing."""
    changed, has_page, instance = plan.only_text_changed, record.html.is_file(), plan.instance
    renewed = False
    if changed or (html and not has_page):
        try:
            with held(instance.directory, record) as whole:
                if changed:
                    record = _refresh_notebook(instance, whole, present.code(instance.flow).fingerprint())
                    renewed = True
                if record.notebook.is_file() and (html or has_page):
                    _make_page(record, present.project.settings.code)
        except InstanceBusyError:
            pass  # whoever has it refreshes it too
        except Exception as error:  # noqa: BLE001 - the files may have been edited in any way
            _tell(instance, "HTML page" if renewed or not changed else "stored notebook", error)
    return record.but(skipped=True, outcome=Outcome.REFRESHED if renewed else Outcome.UP_TO_DATE)


def _tell(instance: Instance, what: str, error: Exception) -> None:
    cause = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    print(  # noqa: T201
        f"ductaflow: {instance.step}/{instance.name} is up to date, but its {what} could not be renewed ({cause}) "
        "and stays as it is; run it with force=True to have a new one",
        file=sys.stderr,
    )


def _refresh_notebook(instance: Instance, record: Record, code: CodeState) -> Record:
    if record.notebook.is_file():
        import nbformat

        from ductaflow_runtime.kernel.cells import save_notebook

        stored = nbformat.read(record.notebook, as_version=4)
        flow = read_notebook(instance.flow, read_bytes(instance.flow))
        save_notebook(merge(stored, flow), record.notebook)
    record = record.but(fingerprint=replace(record.fingerprint or Fingerprint(), code=code))
    write_record(record)
    return record


def _make_page(record: Record, show_code: bool) -> None:
    import nbformat

    from ductaflow_runtime.html_export.export import export_page

    export_page(nbformat.read(record.notebook, as_version=4), record.html, show_code=show_code)


def merge(stored: NotebookNode, flow: NotebookNode) -> NotebookNode:
    """The flow's present cells with the stored outputs; code cells correspond one to one, in order."""
    codes = [cell for cell in stored.cells if cell.cell_type == "code" and not _is_ours(cell)]
    expected = sum(cell.cell_type == "code" for cell in flow.cells)
    if len(codes) != expected:
        raise FlowFileError(f"it has {len(codes)} code cells where the flow has {expected}")
    cells = [cell for cell in stored.cells[:1] if "ductaflow" in cell.metadata.get("tags", [])]
    injected = [cell for cell in stored.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    for cell in flow.cells:
        if cell.cell_type == "code":
            old = codes.pop(0)
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

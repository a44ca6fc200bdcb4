"""A flow made ready to be executed: its notebook as papermill takes it, and what its code says."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.flow import FlowCode, analyse_notebook
from ductaflow_runtime.notebook import read_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode


def study(flow: Path, content: bytes) -> tuple[NotebookNode, FlowCode]:
    """The flow's notebook as papermill takes it, and what its code says."""
    import nbformat

    text, code = _studied(flow, content)
    return nbformat.from_dict(json.loads(text)), code


@functools.lru_cache(maxsize=8)
def _studied(flow: Path, content: bytes) -> tuple[str, FlowCode]:
    # Remembered, for a worker studies a flow once, and its children start with the answer.
    from papermill.iorw import load_notebook_node

    notebook = read_notebook(flow, content)
    code = analyse_notebook(flow, notebook)
    return json.dumps(load_notebook_node(notebook)), code


def prepare_notebook(notebook: NotebookNode, command: str, own_kernel: bool) -> None:
    """The kernel it opens with, and, at its top, the line that reproduces it."""
    import nbformat

    if own_kernel:
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        }
    text = f"Executed by ductaflow. To reproduce it, in the project's folder:\n\n```bash\n{command}\n```"
    cell = {"cell_type": "markdown", "id": "ductaflow", "metadata": {"tags": ["ductaflow"]}, "source": text}
    notebook.cells.insert(0, nbformat.from_dict(cell))

"""A flow made ready to be executed: its notebook as papermill takes it, and what its code says."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config.secrets import secrets_in
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.masking import register_python
from ductaflow_runtime.execution.translation import register_translators, variables_of
from ductaflow_runtime.flow.cells import analyse_notebook
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.notebook import read_notebook
from ductaflow_runtime.parameters.inject import given_to
from ductaflow_runtime.parameters.languages import PYTHON

if TYPE_CHECKING:
    from nbformat import NotebookNode


def study(flow: Path, content: bytes) -> tuple[NotebookNode, FlowCode]:
    """The flow's notebook as papermill takes it, and what its code says."""
    import nbformat

    text, code = _studied(flow, content)
    return nbformat.from_dict(json.loads(text)), code


def code_of(flow: Path, content: bytes) -> FlowCode:
    """What the flow's code says."""
    return _studied(flow, content)[1]


@functools.lru_cache(maxsize=8)
def _studied(flow: Path, content: bytes) -> tuple[str, FlowCode]:
    # Remembered, for a worker studies a flow once, and its children start with the answer.
    from papermill.iorw import load_notebook_node

    notebook = read_notebook(flow, content)
    code = analyse_notebook(flow, notebook)
    return json.dumps(load_notebook_node(notebook)), code


def given_by(job: Job, code: FlowCode, language: str) -> Config:
    """What a job injects: `config` or variables; raises `ConfigError` if the flow can be given nothing."""
    given = given_to(Path(job.flow), code.keys, job.config)
    if language == PYTHON or not code.keys.has_cell:
        return given
    register_translators()
    return variables_of(job.config, code, language)


def inject(notebook: NotebookNode, given: Config, kernel_name: str, language: str) -> NotebookNode:
    """The notebook with the cell of injected parameters, as papermill writes it; without one if nothing is given."""
    from papermill.parameterize import parameterize_notebook

    if not given:
        return notebook
    if any(secrets_in(given)):
        register_python()
    filled: NotebookNode = parameterize_notebook(notebook, given, kernel_name=kernel_name, language=language)
    return filled


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

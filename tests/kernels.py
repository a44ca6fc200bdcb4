"""A notebook's cells on a real kernel, as an editor runs them."""

from __future__ import annotations

import functools
import tempfile
import uuid
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets import default


class KernelWithoutPorts(AsyncKernelManager):
    """Kernels that are started side by side must not choose the same ports."""

    @default("transport")
    def _no_ports(self) -> str:
        return "ipc"

    @default("connection_file")
    def _short_name(self) -> str:
        return str(Path(_folder().name, f"{uuid.uuid4().hex[:12]}.json"))


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed at the end of the process: names of sockets in it are short enough, which those of tests are not."""
    return tempfile.TemporaryDirectory(prefix="ductaflow-")


def run_cells(notebook: NotebookNode, folder: Path, **options: Any) -> NotebookNode:
    """Execute all cells with `folder` as the working directory; `options` are nbclient's."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_manager_class=KernelWithoutPorts, resources=resources, **options)
    return client.execute()

"""The engine that papermill finds under the name `ductaflow`.

Papermill imports this module while it imports itself, so nothing here may import papermill first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from papermill.engines import Engine

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

    from ductaflow_runtime.kernel.watch import Watch


class InProcessEngine(Engine):  # type: ignore[misc]
    """`papermill --engine ductaflow`; the runtime passes a `Watch` along."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, watch: Watch | None = None, **_: Any
    ) -> None:
        """Execute the cells one after the other, up to the first error."""
        from ductaflow_runtime.kernel.cells import CellRunner
        from ductaflow_runtime.kernel.watch import Watch

        CellRunner(nb_man, watch or Watch()).run()

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """The kernel named in the notebook, whatever it is called: the cells run in this Python."""
        return "python3"

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Python."""
        return "python"

"""HTML pages of executed notebooks: one self-contained file each, which asks nothing of the network.

nbconvert makes them, with the template in `ductaflow/`. Its import and first page take about a second, a page
from then on some hundredths, so a worker warms up before it forks and each process keeps its exporters.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.errors import MissingExtraError
from ductaflow_runtime.files import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ductaflow_runtime.html_export.exporter import PageExporter

_NEEDED = ("nbconvert", "latex2mathml")


def require_extra() -> None:
    """Raise `MissingExtraError`, with the command that helps, if pages cannot be made here."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"HTML pages need {' and '.join(missing)}: pip install 'ductaflow[html]'")


def export_page(notebook: NotebookNode, path: Path, *, show_code: bool = True) -> None:
    """Write the page of an executed notebook; `show_code=False` leaves out code, prompts and tracebacks.

    Local images that the notebook's markdown names are looked for beside `path` and put into the page.
    """
    require_extra()
    place = {"name": page_title(path), "path": str(path.parent)}
    with warnings.catch_warnings():
        # An output that no page can show is no warning of the flow, whose count comes after this.
        warnings.simplefilter("ignore")
        text, _ = _exporter(show_code).from_notebook_node(notebook, resources={"metadata": place})
    write_atomically(path, text)


def page_title(path: Path) -> str:
    """What a browser's tab shows: flow and instance."""
    return f"{path.stem}: {path.parent.name}"


def warm_up() -> None:
    """Do once, ahead of a fork, what every page needs; raises `MissingExtraError`."""
    require_extra()
    _warm_up()


@functools.cache
def _warm_up() -> None:
    import nbformat.v4

    cells = [
        nbformat.v4.new_markdown_cell("# A title, and $x^2$"),
        nbformat.v4.new_code_cell(
            "print(1)",
            outputs=[nbformat.v4.new_output("stream", text="1\n")],
        ),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    for show_code in (True, False):
        _exporter(show_code).from_notebook_node(notebook)


@functools.cache
def _exporter(show_code: bool) -> PageExporter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that nbconvert imports
        from ductaflow_runtime.html_export.exporter import PageExporter

        return PageExporter(show_code)

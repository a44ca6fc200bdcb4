"""A flow's text as a notebook, by the ending of its file; or what is wrong with the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.errors.wording import not_utf8

if TYPE_CHECKING:
    from nbformat import NotebookNode

_QUARTO = "Quarto itself reads .qmd files: install it, or keep the flow as an .ipynb, .Rmd or percent-format .py"
_ENDINGS = "a flow is a percent-format .py file, an .ipynb, or a .R, .jl, .sh, .Rmd, .qmd or .md file"


def parse_notebook(path: Path, content: bytes) -> NotebookNode:
    """The cells of a flow's file, as whoever wrote it has them; raises `FlowFileError`."""
    import jupytext
    import nbformat
    from jupytext.formats import JupytextFormatError

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowFileError(f"flow {path} {not_utf8(error)}") from None
    ending = path.suffix.lstrip(".")
    if ending == "ipynb":
        _check_is_notebook(path, text)
    try:
        if ending == "ipynb":
            notebook = nbformat.reads(text, as_version=4)
        else:
            notebook = jupytext.reads(text, fmt="py:percent" if ending == "py" else ending)
    except JupytextFormatError as error:
        if ending != "qmd":
            raise FlowFileError(f"flow {path} is no notebook: {_ENDINGS}") from None
        raise FlowFileError(f"flow {path} cannot be read as a notebook: {error}. {_QUARTO}") from error
    except Exception as error:
        advice = f". {_QUARTO}" if ending == "qmd" else ""
        raise FlowFileError(f"flow {path} cannot be read as a notebook: {error}{advice}") from error
    return cast("NotebookNode", notebook)


def _check_is_notebook(path: Path, text: str) -> None:
    """Raise `FlowFileError` for an .ipynb file that is none at all."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        problem = f"it is not valid JSON ({where})" if text.strip() else "it is empty"
    except (RecursionError, ValueError):
        problem = "it is not valid JSON"
    else:
        if isinstance(told, dict) and isinstance(told.get("nbformat"), int):
            return
        problem = "it is JSON, but not that of a notebook"
    raise FlowFileError(f"flow {path} is no notebook: {problem}; save it again from where it was written")

"""Secrets on their way into a flow and out of it: given by name, masked in log, notebook and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.secrets import KEY, Mask, MaskedStreams, is_secret, known_mask
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.kernel.watch import Journal
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.tables.frames import is_frame, texts_of

if TYPE_CHECKING:
    from nbformat import NotebookNode


def register_python() -> None:
    """Let papermill write a secret as the line that looks it up, in whatever Python executes it."""
    from papermill.translators import PythonTranslator, papermill_translators

    class Python(PythonTranslator):  # type: ignore[misc]
        @classmethod
        def translate_dict(cls, val: dict[str, Any]) -> str:
            if is_secret(val):
                return f'__import__("os").environ["{val[KEY]}"]'
            return str(super().translate_dict(val))

    papermill_translators.register("python", Python)


class MaskedLog(Log):
    """`run.log` without secrets, also where one is printed in pieces."""

    def __init__(self, path: Path, mask: Mask) -> None:
        super().__init__(path)
        self._streams = MaskedStreams(mask)

    def feed(self, name: str, text: str, at_once: bool = False) -> None:
        """Add printed text; what may be the beginning of a secret waits for more."""
        super().feed(name, self._streams.feed(name, text), at_once)

    def close(self) -> None:
        """Write what waits, and close the file."""
        for name, text in self._streams.rest().items():
            super().feed(name, text)
        super().close()


def open_log(path: Path, mask: Mask) -> Log:
    """The log of an execution whose secrets are masked, if it has any."""
    return MaskedLog(path, mask) if mask else Log(path)


def masked_journal(journal: Journal, mask: Mask) -> Journal:
    """What is told as an execution goes, without secrets in what cells have shown."""
    if not mask:
        return journal

    def tell(entry: dict[str, Any]) -> None:
        cell = entry.get("cell")
        journal({**entry, "cell": {**cell, "outputs": mask.value(cell.get("outputs", []))}} if cell else entry)

    return tell


def mask_notebook(notebook: NotebookNode, mask: Mask) -> None:
    """Take secrets out of all that cells have shown; their code is the flow's own."""
    import nbformat

    if not mask:
        return
    for cell in notebook.cells:
        if cell.get("outputs"):
            cell.outputs[:] = [nbformat.from_dict(mask.value(output)) for output in cell.outputs]
    if "widgets" in notebook.metadata:
        notebook.metadata["widgets"] = nbformat.from_dict(mask.value(notebook.metadata["widgets"]))


@overload
def masked_failure(error: Failure, mask: Mask) -> Failure: ...
@overload
def masked_failure(error: Failure | None, mask: Mask) -> Failure | None: ...
def masked_failure(error: Failure | None, mask: Mask) -> Failure | None:
    """An error without secrets in its message and its traceback."""
    if error is None or not mask:
        return error
    traceback = None if error.traceback is None else mask.text(error.traceback)
    place = None if error.place is None else mask.text(error.place)
    return replace(error, message=mask.text(error.message), traceback=traceback, place=place)


def refuse_secrets(values: Mapping[Any, Any]) -> None:
    """Raise `ConfigError` for results that hold a secret: masked, they would be other results."""
    mask = known_mask()
    if not mask:
        return
    texts = {name: texts_of(value) if is_frame(value) else value for name, value in values.items()}
    held = [name for name, value in flatten(texts).items() if mask.is_in(name) or mask.is_in(value)]
    if held:
        told = [f"{mask.text(str(name))}: it holds the text of a secret" for name in held]
        raise ConfigError("save_results does not store secrets:", told)

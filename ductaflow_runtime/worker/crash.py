"""What is written when an execution ended without a word: killed, out of memory, `os._exit`.

The worker writes in place of its dead child, so that a death is a failed record, never a hang or a lost sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ductaflow_runtime.config.secrets import mask_of
from ductaflow_runtime.errors import RecordError
from ductaflow_runtime.execution.entry import Conclusion, Entry, running_record
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.masking import masked_failure
from ductaflow_runtime.flow.notebook import cell_at_end, save_notebook
from ductaflow_runtime.kernel.log import Log
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.runs.lock import locked
from ductaflow_runtime.runs.previous import drop_previous, end_setting_aside
from ductaflow_runtime.runs.record import Record, read_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.worker.journal import Told


def settle(job: Job, told: Told, ended: str | None, unread: Mapping[str, str], conclusion: Conclusion) -> bool:
    """Make the record of an execution whose process is gone say how it ended; false if it has none of its own.

    `ended` says of a process that ended badly how it did. What another process has made of the instance since is
    left to that.
    """
    directory = job.instance.directory
    with locked(directory) as free:
        record = _read(job) if free else None
        if record is None and free and told.foreign is not None:
            directory.mkdir(parents=True, exist_ok=True)
            record = running_record(job, None, told.started or "")
        if record is None or record.started != told.started:
            return False
        if record.status is Status.RUNNING:
            finish(job, record, told, unread, conclusion)
        elif ended is not None:
            log = Log(directory / LOG_NAME)
            log.feed("stderr", f"ductaflow: {ended}, after the record was written\n")
            log.close()
            if record.status is Status.DONE:
                drop_previous(job.instance, record.outputs or {})
    return True


def _read(job: Job) -> Record | None:
    try:
        return read_record(job.instance.directory)
    except RecordError:
        return None


def finish(job: Job, left: Record, told: Told, unread: Mapping[str, str], conclusion: Conclusion) -> Record:
    """Write what a dead process could not: its last output, its notebook so far, and its record.

    `left` is the record that it left unfinished, `unread` what it printed last and nobody has read.
    """
    mask = mask_of(job.config)
    entry = Entry(job, left, told.foreign)
    if told.foreign is None and left.outputs is not None:
        end_setting_aside(left)  # its log may still be that of the good results, which are not to be added to
    error = masked_failure(conclusion.spoiled_by(entry.reclaim()).error, mask)
    assert error is not None
    log = Log(job.instance.directory / LOG_NAME)
    for name, text in unread.items():
        log.feed(name, mask.rest(text))  # its log may have held back how that began
    log.feed("stderr", f"ductaflow: {error.message}\n")
    log.close()
    notebook = told.notebook if told.notebook is not None else _left_by_kernel(left)
    if notebook is not None:
        error = _save_notebook(notebook, left, error)
    return entry.close(replace(conclusion, error=error, made=told.made))


def _left_by_kernel(left: Record) -> dict[str, object] | None:
    """The notebook as papermill left it, which keeps the one of a Jupyter kernel on disk as it goes."""
    import nbformat

    try:
        found: dict[str, object] = nbformat.read(left.notebook, as_version=4)
    except (OSError, ValueError):
        return None
    return found


def _save_notebook(stored: dict[str, object], left: Record, error: Failure) -> Failure:
    """Keep the notebook, the cell that was executing marked as the one that failed; gives the error with its number."""
    import nbformat

    notebook = nbformat.from_dict(stored)
    error = replace(error, cell=cell_at_end(notebook))
    for cell in notebook["cells"]:
        if cell.get("metadata", {}).get("papermill", {}).get("status") == "running":
            cell["metadata"]["papermill"].update(status="failed", exception=True)
    save_notebook(notebook, left.notebook)
    return error

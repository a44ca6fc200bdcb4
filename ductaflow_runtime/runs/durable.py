"""`done` is said only when all that it speaks of would outlive a power cut."""

from __future__ import annotations

from ductaflow_runtime.runs.folder import open_folder
from ductaflow_runtime.runs.instance import written_by_runtime
from ductaflow_runtime.runs.record import FILE_NAME, Record, new_record


def files_of(record: Record) -> set[str]:
    """The files that a record speaks of, itself among them, by their names in the instance's folder."""
    return {*written_by_runtime(record.flow_stem), *(record.outputs or {}), *record.attempt_logs}


def write_durably(final: Record) -> None:
    """Replace the record on disk, after all that it speaks of; raises `OSError` where the disk does not take it."""
    with open_folder(final.directory) as folder:
        speaks_of = files_of(final) - {FILE_NAME}
        with new_record(final) as written:
            folder.sync_files([*sorted(speaks_of), written.name])
            folder.sync_folders_of(speaks_of)
        folder.sync()

"""What shared cells depend on, as it is when they have been executed: compared before an instance starts with them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ductaflow_runtime.files import Stat, hash_file, is_device, is_recent, stat_file
from ductaflow_runtime.staleness.imports import files_of_imported, installed_folders, is_packaged


def needs_of(
    root: str, last_import: str | None, code: Iterable[str], read: Mapping[str, Stat | None], opened: Mapping[str, Stat]
) -> dict[str, list[Any] | None]:
    """Path -> size and time in ns, and sha256 where those do not tell; `None` for what was looked for in vain.

    `code` are the project's files of code that were executed, `read` its inputs, `opened` all that was opened to read,
    wherever it is; what is installed is told from other versions by other means.
    """
    installed = installed_folders(root)
    outside = {path for path in files_of_imported(last_import) if not _is_passed_over(path, installed)}
    stats: dict[str, Stat | None] = {path: stat_file(path) for path in {*code, *outside}}
    stats |= {path: stat for path, stat in opened.items() if not _is_passed_over(path, installed)}
    return {path: _told(path, stat) for path, stat in (stats | dict(read)).items()}


def _is_passed_over(path: str, installed: tuple[str, ...]) -> bool:
    return path.startswith(installed) or is_device(path) or is_packaged(path) or not os.path.isabs(path)


def _told(path: str, stat: Stat | None) -> list[Any] | None:
    if stat is None:
        return None
    told: list[Any] = [stat.size, stat.mtime_ns]
    if is_recent(stat.mtime_ns):
        with contextlib.suppress(OSError):
            told.append(hash_file(path))
    return told

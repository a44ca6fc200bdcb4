"""What only an opened row shows: errors, log tails and outputs, each kind within a budget.

Failures come first and then the newest, for these are the rows that people open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import open_regular
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import LOG_NAME
from ductaflow_runtime.status_page.figures import by_interest
from ductaflow_runtime.status_page.row import Row

LOG_BYTES = 4_096
LOG_LINES = 40
LOGS_READ = 2_500
LOG_BUDGET = 3_000_000
TRACEBACK_CHARACTERS = 4_096
TRACEBACK_BUDGET = 2_000_000
OUTPUTS_LISTED = 40

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


class DetailReader:
    """Reads the logs beside the records, again only when a file changed."""

    def __init__(self) -> None:
        self._logs: dict[Path, tuple[tuple[int, int], str]] = {}

    def read(self, rows: Sequence[Row]) -> dict[str, Any]:
        """`rows`: row -> error, outputs and log; equal tracebacks are stored once, in `texts`."""
        texts: dict[str, int] = {}
        told: dict[int, dict[str, Any]] = {}
        logs = self._log_tails(rows)
        left = TRACEBACK_BUDGET
        for index in by_interest(rows):
            one = _outputs(rows[index])
            failure = rows[index].record.error
            if failure is not None:
                one["error"] = _error(failure)
                traceback = _traceback(failure)
                if traceback in texts or len(traceback) <= left:
                    left -= 0 if traceback in texts else len(traceback)
                    one["error"]["traceback"] = texts.setdefault(traceback, len(texts))
            if index in logs:
                one["log"] = logs[index]
            if one:
                told[index] = one
        return {"rows": told, "texts": list(texts)}

    def _log_tails(self, rows: Sequence[Row]) -> dict[int, str]:
        tails: dict[int, str] = {}
        kept: dict[Path, tuple[tuple[int, int], str]] = {}
        left = LOG_BUDGET
        with_log = (index for index in by_interest(rows) if LOG_NAME in rows[index].files)
        for index, _ in zip(with_log, range(LOGS_READ), strict=False):
            path = rows[index].directory / LOG_NAME
            stamp = _stamp(path)
            known = self._logs.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, log_tail(path, stamp[1]))
            kept[path] = known
            left -= len(known[1])
            if left < 0:
                break
            if known[1]:
                tails[index] = known[1]
        self._logs = kept
        return tails


def log_tail(path: Path, size: int) -> str:
    """The last lines of a log, whole lines only when it was cut."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = plain(text).splitlines()
    cut = size > LOG_BYTES or len(lines) > LOG_LINES
    if size > LOG_BYTES and len(lines) > 1:
        del lines[0]
    tail = "\n".join(lines[-LOG_LINES:])
    return f"…\n{tail}" if cut else tail


def plain(text: str) -> str:
    """Without terminal colours, which tracebacks and progress bars carry."""
    return _ANSI.sub("", text)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _error(failure: Failure) -> dict[str, Any]:
    told = {"type": failure.type[:200], "message": plain(failure.message)[:2_000], "cell": failure.cell}
    return told | ({"place": plain(failure.place)} if failure.place else {})


def _traceback(failure: Failure) -> str:
    text = plain(failure.traceback or "")
    return text if len(text) <= TRACEBACK_CHARACTERS else "…\n" + text[-TRACEBACK_CHARACTERS:]


def _outputs(row: Row) -> dict[str, Any]:
    outputs = row.record.outputs
    if not outputs:
        return {}
    listed = [(name, _size(outputs[name].get("size"))) for name in sorted(outputs)[:OUTPUTS_LISTED]]
    more = len(outputs) - OUTPUTS_LISTED
    return {"outputs": listed} | ({"more_outputs": more} if more > 0 else {})


def _size(size: object) -> int | None:
    return size if isinstance(size, int) else None

"""The times in records: on the reader's clock, and as names of folders."""

from __future__ import annotations

import datetime


def local_time(time: object) -> str:
    """A stored time on the reader's clock, to the minute."""
    try:
        return f"{datetime.datetime.fromisoformat(str(time)).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return "at an unknown time"


def stamp_of(time: str | None) -> str:
    """A stored time as a folder can be named, later ones after earlier ones; nothing for what is no time."""
    try:
        at = datetime.datetime.fromisoformat(time or "").astimezone(datetime.UTC)
    except ValueError:
        return ""
    return f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03}Z"

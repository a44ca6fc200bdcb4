"""Dates in configs: JSON has none, so a record says which texts were given as dates, and only those are again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ductaflow_runtime.config.values import Json, date_keys

if TYPE_CHECKING:
    import pandas as pd

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?")


class DateText(str):
    """The ISO text of what was given as a date."""


def dates_of_rows(control_df: pd.DataFrame, but: str) -> dict[int, tuple[str, ...]]:
    """The dotted keys of what is a date in each row, counted from 0, outside one column; only of rows that have any."""
    found: dict[int, tuple[str, ...]] = {}
    for column in control_df.columns:
        series = control_df[column]
        if column == but or getattr(series.dtype, "kind", "O") not in "OM":
            continue
        for row, value in enumerate(series.tolist()):
            if not isinstance(value, str):
                for key in date_keys(value, column):
                    found[row] = (*found.get(row, ()), key)
    return found


def with_dates(config: Mapping[str, Json], dates: Sequence[str] | None) -> dict[str, Json]:
    """A config's values by dotted keys, with the texts marked that were dates.

    The records of ductaflow 0.1.0 do not say (`None`). There, text with a time of day, as a timestamp gives it, is
    taken for one.
    """
    marked = dict(config)
    for key, value in config.items():
        if isinstance(value, str) and (_TIMESTAMP.fullmatch(value) if dates is None else key in dates):
            marked[key] = DateText(value)
    return marked

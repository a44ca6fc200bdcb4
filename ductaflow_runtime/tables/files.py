"""A table as a file: Parquet where pyarrow is installed, else CSV. Beside the file stands what it cannot say itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

PARQUET, CSV = ".parquet", ".csv"
_DEFAULT = {"str", "object"}  # what pandas gives to texts: the one in pandas 3, the other before
_CONVERTED: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("str", "object", "string"), str),
    "datetime": lambda text: text,
    "bool": lambda text: text == "True",
    "boolean": lambda text: text == "True",
    "float": float,
}


@dataclass(frozen=True)
class TableFile:
    """The bytes of a file, its ending, and what must be known to read it back.

    `dtypes` maps a column to its dtype as text, or to `{categories, dtype, ordered}`. `empty` are the rows with an
    empty text in each column, for in CSV it looks like a missing value.
    """

    content: bytes
    ending: str
    rows: int
    dtypes: dict[str, Any]
    empty: dict[str, list[int]] = field(default_factory=dict)


def to_file(frame: pd.DataFrame, name: str) -> TableFile:
    """A table as a file; raises `ConfigError` naming each column that would not read back as it is."""
    dtypes = {column: _told_dtype(frame[column]) for column in frame.columns}
    content = io.BytesIO()
    try:
        frame.to_parquet(content, engine="pyarrow", index=False)
        made = TableFile(content.getvalue(), PARQUET, len(frame), dtypes)
    except ImportError:
        made = TableFile(_to_csv(frame), CSV, len(frame), dtypes, _empty_texts(frame))
    read = from_file(made)
    changed = [column for column in frame.columns if not _is_same(frame[column], read[column])]
    if changed:
        raise ConfigError(
            f"the table {name} cannot be stored exactly:",
            [f"{column}: values of the dtype {frame[column].dtype} do not read back the same" for column in changed],
        )
    return made


def from_file(stored: TableFile) -> pd.DataFrame:
    """A table as it was; raises `MissingExtraError` for Parquet without pyarrow, `ValueError` for a broken file."""
    import pandas as pd

    if stored.ending == CSV:
        return _from_csv(stored.content, stored.dtypes, stored.empty)
    try:
        read = pd.read_parquet(io.BytesIO(stored.content), engine="pyarrow")
    except ImportError:
        raise MissingExtraError("the table is a Parquet file; to read it: pip install pyarrow") from None
    return pd.DataFrame({name: _as_told(read[name], told) for name, told in stored.dtypes.items()})


def _empty_texts(frame: pd.DataFrame) -> dict[str, list[int]]:
    found = {}
    for name in frame.columns:
        values = frame[name].astype(object).tolist()
        found[name] = [row for row, value in enumerate(values) if isinstance(value, str) and not value]
    return {name: rows for name, rows in found.items() if rows}


def _told_dtype(column: pd.Series[Any]) -> Any:
    import pandas as pd

    dtype = column.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return str(dtype)
    categories = [_to_text(value) for value in dtype.categories.tolist()]
    return {"categories": categories, "dtype": str(dtype.categories.dtype), "ordered": bool(dtype.ordered)}


def _as_told(column: pd.Series[Any], told: Any) -> pd.Series[Any]:
    """A column with the dtype that it had; texts get what pandas gives to texts."""
    import pandas as pd

    if isinstance(told, dict):
        texts = told["categories"]
        categories = _from_texts(texts, told["dtype"], range(len(texts)))
        dtype = pd.CategoricalDtype(categories, bool(told["ordered"]))
        return pd.Series(pd.Categorical(column.astype(object), dtype=dtype))
    return column if str(column.dtype) == told or told in _DEFAULT else column.astype(told)


def _to_csv(frame: pd.DataFrame) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(zip(*(_cells(frame[name]) for name in frame.columns), strict=True))
    return text.getvalue().encode("utf-8")


def _cells(column: pd.Series[Any]) -> list[str]:
    values = column.astype(object).tolist()
    return ["" if gone else _to_text(value) for value, gone in zip(values, column.isna().tolist(), strict=True)]


def _to_text(value: Any) -> str:
    """A value as text that says all of it."""
    if isinstance(value, float):
        return repr(float(value))
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _from_csv(content: bytes, dtypes: dict[str, Any], empty: dict[str, list[int]]) -> pd.DataFrame:
    import pandas as pd

    names, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    columns = zip(names, cells, strict=True)
    return pd.DataFrame({name: _from_texts(texts, dtypes[name], empty.get(name, ())) for name, texts in columns})


def _from_texts(texts: Sequence[str], told: Any, empty: Sequence[int]) -> pd.Series[Any]:
    import pandas as pd

    if isinstance(told, dict):
        return _as_told(pd.Series(_values_of(texts, told["dtype"], empty), dtype=object), told)
    values = _values_of(texts, told, empty)
    if told.startswith("datetime"):
        stamps = pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc="," in told)
        return pd.Series(stamps.astype(told))
    return pd.Series(values, dtype=None if told in _DEFAULT else told)


def _values_of(texts: Sequence[str], dtype: str, empty: Sequence[int]) -> list[Any]:
    """What cells hold, times as text. One without any has no value, but for the empty texts in the rows `empty`."""
    kind = re.match("[a-z]+", dtype.lower())
    convert = _CONVERTED.get(kind[0] if kind else "", int)
    gone = {row for row, text in enumerate(texts) if not text}.difference(empty)
    return [None if row in gone else convert(text) for row, text in enumerate(texts)]


def _is_same(was: pd.Series[Any], read: pd.Series[Any]) -> bool:
    """Whether two columns have the same values, missing ones and dtype, but for what texts are by default."""
    told, found = _told_dtype(was), _told_dtype(read)
    if isinstance(told, dict) and isinstance(found, dict) and {told["dtype"], found["dtype"]} <= _DEFAULT:
        told = {**told, "dtype": found["dtype"]}
    gone = was.isna()
    return (
        (told == found or {str(told), str(found)} <= _DEFAULT)
        and gone.tolist() == read.isna().tolist()
        and was[~gone].astype(object).tolist() == read[~gone].astype(object).tolist()
    )

"""Which values are frames, and which frame can be a table: plain columns that every format of a file keeps exactly.

What is refused does not depend on the packages that are installed, for a flow must not fail on a colleague's machine.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from ductaflow_runtime.errors.wording import type_name

if TYPE_CHECKING:
    import pandas as pd

MOST_CELLS = 250_000
FIRST = "instance_name"  # the column that tells the instances' rows apart, once they are in one frame
_HOLDS = "numbers, texts, true/false, times (datetime64), or categories of numbers or texts"
_LONGDOUBLE = 16


def is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    """Whether a value is a pandas DataFrame, told without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def texts_of(frame: pd.DataFrame) -> list[str]:
    """All that a frame holds, column names and index included, as texts."""
    return [*map(str, frame.columns), *frame.reset_index().astype(str).to_numpy().ravel().tolist()]


def way_to_pandas(value: object) -> str:
    """What to write for a frame of another library, such as polars; empty for what is none."""
    if callable(getattr(value, "to_pandas", None)):
        return "frame.to_pandas()"
    return "frame.collect().to_pandas()" if type(value).__name__ == "LazyFrame" else ""


def table_of(frame: pd.DataFrame, name: str, problems: list[str]) -> pd.DataFrame:
    """The frame with its index as columns; what keeps it from being a table is added to `problems`.

    An index without a name that only counts the rows is left out.
    """
    import pandas as pd

    if isinstance(frame.columns, pd.MultiIndex):
        problems.append(f"{name}: its columns have several levels; give each one name, or use frame.stack()")
        return frame
    plain = _with_index(frame)
    columns = list(plain.columns)
    if not columns:
        problems.append(f"{name}: the frame has no columns")
    problems += [f"{name}: {found}" for found in _column_problems(columns)]
    if plain.size > MOST_CELLS:
        problems.append(
            f"{name}: {plain.size:,} cells; a table may have up to {MOST_CELLS:,} (rows x columns). "
            "Write a larger one as a file of the flow: frame.to_parquet('large.parquet')"
        )
        return plain
    for place, column in enumerate(columns):
        found = _value_problem(plain.iloc[:, place])
        if found:
            problems.append(f"{name}: the column {column!r} holds {found}; a column holds {_HOLDS}")
    return plain


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    index = frame.index
    counts = index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index.dtype)
    return frame.reset_index(drop=True) if counts else frame.reset_index(allow_duplicates=True)


def _column_problems(columns: list[Any]) -> list[str]:
    found = []
    for place, column in enumerate(columns):
        if type(column) is not str:
            found.append(
                f"the column {column!r} is named with {type_name(column)}, not with text; "
                "for all columns: frame.columns = frame.columns.map(str)"
            )
        elif column == FIRST:
            found.append(f"the column {FIRST} is one that load_results adds; rename yours")
        elif column in columns[:place]:
            found.append(f"the column {column} is there twice (an index counts as a column)")
        elif not _is_encodable(column):
            found.append(f"the column {column!r} is named with half a character")
    return found


def _value_problem(column: pd.Series[Any]) -> str | None:
    """What a column holds that no column of a table can; `None` if it can be one."""
    import pandas as pd

    dtype, types = column.dtype, pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        found = str(dtype.categories.dtype) if types.is_datetime64_any_dtype(dtype.categories.dtype) else None
        found = found or _value_problem(pd.Series(dtype.categories))
        return f"categories of {found}" if found else None
    if types.is_bool_dtype(dtype) or types.is_integer_dtype(dtype) or types.is_datetime64_any_dtype(dtype):
        return None
    if types.is_float_dtype(dtype) and getattr(dtype, "itemsize", 8) < _LONGDOUBLE:
        return None
    if types.is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype):
        for row, value in enumerate(column):
            if type(value) is str and not _is_encodable(value):
                return f"half a character in row {row}"
            if type(value) is not str and not (types.is_scalar(value) and pd.isna(value)):
                return f"objects such as {type_name(value)} in row {row} (frame.convert_dtypes() may help)"
        return None
    return str(dtype)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""What stands for a result that does not exist yet while a conductor is rehearsed.

It may be handed on, computed with and printed; what is made of it is not known either. Where the conductor would go one
way or another because of it, the rehearsal ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pandas as pd

MARK = "notknownyet0ductaflow0"
"""What an unknown value reads as: where it turns up in a row, the row is not known."""


class RehearsalEnds(BaseException):
    """The conductor needs something that does not exist yet, or would change something.

    No `Exception`, for a conductor that carries on after errors must not carry on after this.
    """


@dataclass(frozen=True)
class Missing:
    """What is not there yet, in words, and how to end the rehearsal because of it."""

    what: str
    end: Callable[[str], NoReturn]


class Unknown:
    """A value that is not known before what is `missing` is there."""

    def __init__(self, missing: Missing) -> None:
        object.__setattr__(self, "_missing", missing)

    def _more(self, *_given: object, **_named: object) -> Unknown:
        return Unknown(self._missing)

    def _ends(self, *_given: object) -> NoReturn:
        missing: Missing = self._missing
        missing.end(f"needs {missing.what}")

    def _text(self, *_given: object) -> str:
        return MARK

    def _ignored(self, *_given: object) -> None:
        """A change of what is not known changes nothing about that."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Unknown(self._missing)

    __call__ = __getitem__ = _more
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _more
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _more
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __neg__ = __pos__ = __abs__ = __invert__ = _more
    __round__ = __lt__ = __le__ = __gt__ = __ge__ = _more
    __eq__ = __ne__ = _more  # type: ignore[assignment]
    __bool__ = __len__ = __iter__ = __contains__ = __int__ = __float__ = __complex__ = __index__ = _ends
    __hash__ = __array__ = __fspath__ = __enter__ = __exit__ = __copy__ = __deepcopy__ = __reduce_ex__ = _ends
    __str__ = __repr__ = __format__ = _text
    __setattr__ = __setitem__ = __delitem__ = __delattr__ = _ignored


class UnknownFrame(Unknown):
    """The frame of a step of which rows will run: the control dataframe is known, what becomes of its rows is not."""

    def __init__(self, missing: Missing, known: pd.DataFrame) -> None:
        super().__init__(missing)
        object.__setattr__(self, "_known", known)

    def copy(self, *_given: object, **_named: object) -> UnknownFrame:
        """The same."""
        return UnknownFrame(self._missing, self._known)

    @property
    def index(self) -> pd.Index[Any]:
        """The rows' labels."""
        index: pd.Index[Any] = self._known.index
        return index

    def __len__(self) -> int:  # type: ignore[override]
        return len(self._known)

    def __getitem__(self, key: object) -> Any:  # type: ignore[override]
        columns = set(self._known.columns)
        if (isinstance(key, str) and key in columns) or (isinstance(key, list) and columns.issuperset(key)):
            return self._known[key].copy()
        return Unknown(self._missing)

    def __setitem__(self, key: object, value: object) -> None:  # type: ignore[override]
        """A column of the user's own: from now on nobody knows what the columns hold."""
        object.__setattr__(self, "_known", self._known[[]])


class UnknownRecord(Unknown):
    """The record of an instance that will run: which one is known, what it gives is not."""

    def __init__(self, missing: Missing, known: Mapping[str, object]) -> None:
        super().__init__(missing)
        object.__setattr__(self, "_known", known)

    def __getattr__(self, name: str) -> Any:
        return self._known[name] if name in self._known else super().__getattr__(name)


def holds_unknown(value: object) -> bool:
    """Whether plain data holds something that was made of an unknown value."""
    return any(isinstance(each, str) and MARK in each for each in _parts(value))


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _parts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _parts(inner)
    else:
        yield value

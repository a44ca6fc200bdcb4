"""What the values in a record have in common: frozen, and readable like the JSON object that they are stored as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any


class Stored(Mapping[str, Any]):
    """Base of frozen dataclasses inside a record: `value["name"]` and `value.get("name")` work beside `value.name`."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name in self.__dataclass_fields__:  # type: ignore[attr-defined]
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """The object as `run.json` holds it."""
        return {name: value.to_json() if isinstance(value, Stored) else value for name, value in self.items()}

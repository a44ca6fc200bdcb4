"""The settings of a project, the table `[tool.ductaflow]` in its pyproject.toml: with defaults and limits."""

from __future__ import annotations

import functools
import math
import sys
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import ProjectError
from ductaflow_runtime.errors.wording import MOST, TOO_MANY_DIGITS, brief, not_utf8
from ductaflow_runtime.memory import AMOUNT, read_amount

ENGINES = ("fork", "spawn")
UNKNOWN_KEYS = ("error", "warn", "ignore")


@dataclass(frozen=True)
class Settings:
    """The defaults that a project may set in `[tool.ductaflow]`."""

    runs_dir: str = "runs"
    workers: int | None = None
    timeout: float | None = None
    max_memory: str | int | None = None
    wait: float = 86_400.0
    grace: float = 30.0
    retries: int = 0
    export_html: bool = False
    code: bool = True
    page: bool = True
    preload: tuple[str, ...] | None = None
    copy_inputs: bool = False
    ignore: tuple[str, ...] = ()
    keep: int = 2
    keep_size: str | int = "1 GB"
    unknown_keys: str = "error"
    engine: str = field(default="fork" if sys.platform == "linux" else "spawn")

    @property
    def bytes_kept(self) -> int:
        """How many bytes of earlier results are kept."""
        return read_amount(self.keep_size)


def load_settings(root: Path) -> Settings:
    """`[tool.ductaflow]` of the project; raises `ProjectError` for an unknown name or a wrong type."""
    path = root / "pyproject.toml"
    if not path.is_file():
        return Settings()
    try:
        return _settings_in(path, path.read_bytes())
    except UnicodeDecodeError as error:
        problem = not_utf8(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except RecursionError:
        problem = "cannot be read: it is nested too deep"
    except tomllib.TOMLDecodeError as error:
        problem = f"cannot be read: {error}"
    except ValueError:  # of Python's int()
        problem = f"cannot be read: it holds {TOO_MANY_DIGITS}"
    raise ProjectError(_conflict_in(path) or f"{path} {problem}")


@functools.lru_cache(maxsize=8)
def _settings_in(path: Path, content: bytes) -> Settings:
    # Remembered, for each call of a loop asks.
    table: Any = tomllib.loads(content.decode())
    for name in ("tool", "ductaflow"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise ProjectError(f"{path}: `{name}` is {brief(table)}; write the settings below a line [tool.ductaflow]")
    known = {item.name for item in fields(Settings)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise ProjectError(
            f"{path}: [tool.ductaflow] has no setting {', '.join(unknown)}; it knows {', '.join(sorted(known))}"
        )
    _check_types(path, table)
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}
    return Settings(**values)


def _conflict_in(path: Path) -> str | None:
    """Where an update or a merge left its first conflict in a file, and what to do; None if there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for number, line in enumerate(lines, start=1):
        if line.startswith("<<<<<<< "):
            return (
                f"{path}, line {number}: an update or a merge left a conflict here. From this line to the next one "
                "with >>>>>>>, keep what is right, delete the lines that begin with <<<<<<<, |||||||, ======= or "
                ">>>>>>>, and try again"
            )
    return None


def _is_amount(value: object) -> bool:
    try:
        return read_amount(value) > 0
    except ValueError:
        return False


def _check_types(path: Path, table: dict[str, Any]) -> None:
    def positive(value: object, kind: type | tuple[type, ...]) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool) and 0 < value <= MOST  # type: ignore[operator]

    def seconds(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf

    wanted = {
        "runs_dir": (lambda v: isinstance(v, str) and bool(v) and "\0" not in v, "a folder name, as text"),
        "workers": (lambda v: positive(v, int), "a whole number above 0"),
        "timeout": (lambda v: positive(v, (int, float)), "a number of seconds above 0"),
        "max_memory": (_is_amount, AMOUNT),
        "wait": (
            lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v >= 0,
            "a number of seconds, 0 or more",
        ),
        "grace": (seconds, "a number of seconds, 0 or more"),
        "retries": (lambda v: type(v) is int and 0 <= v <= MOST, "a whole number, 0 or more"),
        "export_html": (lambda v: isinstance(v, bool), "true or false"),
        "code": (lambda v: isinstance(v, bool), "true or false"),
        "page": (lambda v: isinstance(v, bool), "true or false"),
        "copy_inputs": (lambda v: isinstance(v, bool), "true or false"),
        "preload": (
            lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v),
            "a list of module names",
        ),
        "unknown_keys": (lambda v: v in UNKNOWN_KEYS, " or ".join(f'"{name}"' for name in UNKNOWN_KEYS)),
        "ignore": (
            lambda v: isinstance(v, list) and all(isinstance(item, str) and item for item in v),
            'a list of paths from the project root, such as ["mlruns/**"]',
        ),
        "keep": (lambda v: type(v) is int and 0 <= v <= MOST, "a whole number, 0 or more"),
        "keep_size": (_is_amount, AMOUNT),
        "engine": (lambda v: v in ENGINES, " or ".join(f'"{name}"' for name in ENGINES)),
    }
    for name, value in table.items():
        accepts, what = wanted[name]
        if not accepts(value):
            raise ProjectError(f"{path}: [tool.ductaflow] {name} must be {what}, not {brief(value)}")

"""An instance: flow + name + config, and the folder `runs/{step}/{instance_name}/` it lives in."""

from __future__ import annotations

import functools
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ductaflow_runtime.config.values import Config, digest, to_json
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.errors.wording import brief, is_too_long, type_name
from ductaflow_runtime.project import HIDDEN as HIDDEN
from ductaflow_runtime.runs.record import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG_NAME = "run.log"
TABLES = "tables"
"""The folder in an instance's that `save_results` writes frames to."""
CONFIG_NAME = "config.json"

_WINDOWS_NAMES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "CONIN$",
    "CONOUT$",
    *(f"{n}{i}" for n in ("COM", "LPT") for i in "123456789¹²³"),
}
_INSTANCE = "instance name"
_WINDOWS_CHARACTERS = set('<>:"|?*')
_MOST_CHARACTERS = 100
_MOST_BYTES = 240  # file systems count bytes; temporary names need a few more


@dataclass(frozen=True)
class Instance:
    """Where one instance of a flow lives and what it is given; `dates` are the dotted keys of what were dates."""

    flow: Path
    step: str
    name: str
    config: Config
    runs_dir: Path
    folder: Path | None = None
    dates: tuple[str, ...] = ()

    @functools.cached_property
    def directory(self) -> Path:
        """The instance's folder; a script may have been given one outside `runs/`."""
        return self.folder or self.runs_dir.joinpath(self.step, self.name)


def name_problem(name: object, what: str = _INSTANCE) -> str | None:
    """Why a name cannot be a folder everywhere, or `None`."""
    if type(name) is not str:
        wanted = "text or a whole number" if what == _INSTANCE else "text"
        return f"{what} {brief(name)} is {type_name(name)}; it must be {wanted}"
    shown = name.encode("utf-8", "backslashreplace").decode()
    if not name:
        return f"{what} is empty"
    if len(name) > _MOST_CHARACTERS:
        return f"{what} {shown[:30]!r}... has {len(name)} characters; at most {_MOST_CHARACTERS} are allowed"
    if "/" in name or "\\" in name:
        return f"{what} {shown!r} contains a path separator"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        return f"{what} {shown!r} contains a control character"
    if len(name.encode()) > _MOST_BYTES:
        return f"{what} {shown[:30]!r}... is too long for a folder name ({len(name.encode())} bytes)"
    if name.startswith("."):
        return f"{what} {shown!r} starts with a dot, which hides it or leaves the folder"
    bad = sorted(_WINDOWS_CHARACTERS & set(name))
    if bad:
        return f"{what} {shown!r} contains {' '.join(bad)}, which Windows refuses"
    if name.split(".")[0].rstrip().upper() in _WINDOWS_NAMES:
        return f"{what} {shown!r} is reserved on Windows"
    if name[-1] in ". ":
        return f"{what} {shown!r} ends with a dot or a space, which Windows drops"
    return None


def as_name(given: object) -> object:
    """A name given as text or as a whole number, numpy's included, as plain text; anything else as it is."""
    plain = to_json(given, "", [])
    if type(plain) is int:
        return given if is_too_long(plain) else str(plain)
    return plain if type(plain) is str and isinstance(given, str) else given


def check_name(name: object, what: str = _INSTANCE) -> str:
    """The name, if it can be a folder everywhere; else a `ConfigError`."""
    problem = name_problem(name, what)
    if problem:
        raise ConfigError(problem)
    return str(name)


def default_name(config: Config) -> str:
    """The config's `instance_name`, else a short stable digest of the config."""
    name = config.get("instance_name")
    return digest(config) if name is None else check_name(as_name(name))


def folded(name: str) -> str:
    """What two names have in common if some file system would put them in one folder."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def written_by_runtime(flow_stem: str) -> set[str]:
    """The names in an instance folder that the runtime itself writes."""
    return {FILE_NAME, LOG_NAME, CONFIG_NAME, f"{flow_stem}.ipynb", f"{flow_stem}.html"}


def list_steps(runs_dir: Path) -> list[str]:
    """The steps that have a folder, sorted."""
    return sorted(_folders(runs_dir))


def list_instances(runs_dir: Path, step: str) -> list[str]:
    """The instances of a step that have a folder, sorted."""
    return sorted(_folders(runs_dir / step))


def _folders(path: Path) -> Iterable[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []

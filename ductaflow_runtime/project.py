"""The project that a call is about: where it is, where its results lie, what git says of it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import ProjectError
from ductaflow_runtime.errors.wording import brief
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.settings import Settings, load_settings

HIDDEN = ".ductaflow"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a drive of Windows has one letter


@dataclass(frozen=True)
class Project:
    """A project and its folder of results, found once a call."""

    root: Path
    runs_dir: Path
    settings: Settings = field(default_factory=Settings)

    @classmethod
    def find(cls, runs_dir: str | os.PathLike[str] | None = None) -> Project:
        """The project of the working directory, else of the running script."""
        return cls.at(find_root(), runs_dir)

    @classmethod
    def at(cls, root: Path, runs_dir: str | os.PathLike[str] | None = None) -> Project:
        """The project in a folder; a relative `runs_dir` lies under it. Raises `ProjectError` for a wrong setting."""
        settings = load_settings(root)
        return cls(root, resolve_runs_dir(root, settings, runs_dir), settings)

    @property
    def title(self) -> str:
        """What the project calls itself in its pyproject.toml, else the name of its folder."""
        try:
            name = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        except (OSError, ValueError, KeyError, TypeError):
            return self.root.name
        return name if isinstance(name, str) and name else self.root.name

    @property
    def hash_cache(self) -> Path:
        """The folder of hashes of large files and of what modules say; what is hidden can be deleted at any time."""
        return self.runs_dir / HIDDEN / "hashes"

    @property
    def flow_cache(self) -> Path:
        """The folder of what flows' texts say."""
        return self.runs_dir / HIDDEN / "flows"

    def relative(self, path: Path | str) -> str:
        """A path as records store it."""
        return relative_to_root(path, self.root)

    def absolute(self, stored: str) -> str:
        """The inverse of `relative`."""
        return stored if os.path.isabs(stored) else os.path.join(self.root, stored)

    def git_state(self) -> dict[str, Any]:
        """`git_commit` and `git_dirty` of the project, `None` where there is no git repository.

        Files that git neither knows nor ignores make it dirty too; results and compiled modules never do.
        """
        told = _git_status(self.root, self.relative(self.runs_dir))
        if told is None:
            return {"git_commit": None, "git_dirty": None}
        commit = next((line.split()[-1] for line in told if line.startswith("# branch.oid ")), None)
        return {
            "git_commit": None if commit == "(initial)" else commit,
            "git_dirty": any(not line.startswith("#") for line in told),
        }


def _git_status(root: Path, results: str) -> list[str] | None:
    """What git says of the project without its results, line by line; `None` if it says nothing."""
    inside = results != "." and not Path(results).is_absolute()
    left_out = [":(exclude,glob)**/__pycache__/**", *([f":(exclude,literal){results}"] if inside else [])]
    command = ["git", "-C", str(root), "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
    command += ["--untracked-files=normal", "--", ".", *left_out]
    try:
        told = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return None if told.returncode else told.stdout.splitlines()


def find_root(start: Path | None = None) -> Path:
    """The nearest ancestor of the working directory, else of the running script, with a pyproject.toml."""
    here = os.path.realpath(start or os.getcwd())
    root = _root_above(here)
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if root is None and start is None and script and not _is_of_environment(script):
        root = _root_above(os.path.dirname(os.path.realpath(script)))
    return Path(root or here)


def _is_of_environment(script: str) -> bool:
    """Whether it is installed, as `ductaflow` and Jupyter are: where that lies says nothing of a project."""
    import sysconfig

    folders = {os.path.realpath(sysconfig.get_path(name)) for name in ("scripts", "purelib", "platlib")}
    return any(os.path.realpath(script).startswith(os.path.join(folder, "")) for folder in folders)


def _root_above(folder: str) -> str | None:
    """The nearest of a folder and its ancestors that is a project's; with plain texts, for every call asks."""
    while not os.path.isfile(os.path.join(folder, "pyproject.toml")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def set_import_path(flow_folder: Path, root: Path) -> None:
    """The flow's folder, then the project root, ahead of everything else; the same in all three modes."""
    first = [str(flow_folder), str(root)]
    sys.path[:] = [*first, *(entry for entry in sys.path if entry not in ("", *first))]


def path_text(given: object, what: str) -> str:
    """A path as text; raises `ProjectError` for what is none."""
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ProjectError(f"{what} must be a path, as text or a Path, not {brief(given)}")
    if not text:
        raise ProjectError(f"{what} is empty; give a path")
    if "\0" in text:
        raise ProjectError(f"{what} {text!r} contains a null character, which no path can")
    return text


def places_of(given: str | os.PathLike[str], root: Path) -> list[Path]:
    """Where a path that somebody gave may lie: under the working directory, else under the project root."""
    return list(dict.fromkeys(Path(os.path.normpath(base / given)) for base in (Path.cwd(), root)))


def resolve_runs_dir(root: Path, settings: Settings, runs_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of results; a relative one lies under the project root. Raises `ProjectError` for an address."""
    given = path_text(runs_dir if runs_dir is not None else settings.runs_dir, "runs_dir")
    if _ADDRESS.match(given):
        raise ProjectError(
            f"runs_dir {given!r} is an address, and results are kept in a folder: give a folder's path, such as "
            '"runs"; storage elsewhere serves where it is mounted as a folder'
        )
    found = Path(os.path.normpath(root / given))
    try:
        os.lstat(found / HIDDEN)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise ProjectError(f"runs_dir {found} is no folder; move that away, or give another path") from None
        if error.errno == errno.ENAMETOOLONG:
            raise ProjectError(f"runs_dir is longer than this system's paths can be: {brief(given)}") from None
    return found

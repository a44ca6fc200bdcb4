"""The project that a call is about: where it is, what its `[tool.ductaflow]` table says, where its results lie."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ductaflow_runtime.errors import ProjectError
from ductaflow_runtime.files import relative_to_root

HIDDEN = ".ductaflow"
ENGINES = ("fork", "spawn")
UNKNOWN_KEYS = ("error", "warn", "ignore")


@dataclass(frozen=True)
class Settings:
    """The defaults that a project may set in `[tool.ductaflow]`."""

    runs_dir: str = "runs"
    workers: int | None = None
    timeout: float | None = None
    wait: float = 86_400.0
    export_html: bool = False
    code: bool = True
    page: bool = True
    preload: tuple[str, ...] | None = None
    copy_inputs: bool = False
    ignore: tuple[str, ...] = ()
    unknown_keys: str = "error"
    engine: str = field(default="fork" if sys.platform == "linux" else "spawn")


@dataclass(frozen=True)
class Project:
    """A project and its folder of results, found once a call."""

    root: Path
    runs_dir: Path
    settings: Settings = Settings()

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
        """The folder of hashes of large files; like all that is hidden, it can be deleted at any time."""
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
    here = (start or Path.cwd()).resolve()
    candidates = [here]
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if start is None and script:
        candidates.append(Path(script).resolve().parent)
    for candidate in candidates:
        for folder in (candidate, *candidate.parents):
            if (folder / "pyproject.toml").is_file():
                return folder
    return here


def load_settings(root: Path) -> Settings:
    """`[tool.ductaflow]` of the project; raises `ProjectError` for an unknown name or a wrong type."""
    path = root / "pyproject.toml"
    if not path.is_file():
        return Settings()
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get("tool", {}).get("ductaflow", {})
    except (OSError, ValueError) as error:
        raise ProjectError(_conflict_in(path) or f"{path} cannot be read: {error}") from None
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


def _check_types(path: Path, table: dict[str, Any]) -> None:
    def positive(value: object, kind: type | tuple[type, ...]) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool) and value > 0  # type: ignore[operator]

    wanted = {
        "runs_dir": (lambda v: isinstance(v, str) and bool(v), "a folder name, as text"),
        "workers": (lambda v: positive(v, int), "a whole number above 0"),
        "timeout": (lambda v: positive(v, (int, float)), "a number of seconds above 0"),
        "wait": (
            lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v >= 0,
            "a number of seconds, 0 or more",
        ),
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
        "engine": (lambda v: v in ENGINES, " or ".join(f'"{name}"' for name in ENGINES)),
    }
    for name, value in table.items():
        accepts, what = wanted[name]
        if not accepts(value):
            raise ProjectError(f"{path}: [tool.ductaflow] {name} must be {what}, not {value!r}")


def set_import_path(flow_folder: Path, root: Path) -> None:
    """The flow's folder, then the project root, ahead of everything else; the same in all three modes."""
    first = [str(flow_folder), str(root)]
    sys.path[:] = [*first, *(entry for entry in sys.path if entry not in ("", *first))]


def places_of(given: str | os.PathLike[str], root: Path) -> list[Path]:
    """Where a path that somebody gave may lie: under the working directory, else under the project root."""
    return list(dict.fromkeys(Path(os.path.normpath(base / given)) for base in (Path.cwd(), root)))


def resolve_runs_dir(root: Path, settings: Settings, runs_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of results; a relative one lies under the project root."""
    return Path(os.path.normpath(root / (runs_dir if runs_dir is not None else settings.runs_dir)))

"""Which files never make an instance run again: those that a project's setting `ignore` names, and a few always.

Decided when an instance is looked at, not when it runs: a record lists all that was read, so that a pattern that is
taken back counts for what has run already.
"""

from __future__ import annotations

import glob
import re
from fnmatch import fnmatchcase

# DVC names a file in its cache by what it holds, and reads that name in a `.dvc` or `dvc.lock` file, which counts. Its
# `tmp` has locks and indexes. Other stores, as `mlruns/`, hold models and tables that a flow may take as its input.
_ALWAYS = re.compile(r"(^|/)\.dvc/(cache|tmp)/")
# Tools that keep many files in one folder, which a pattern had better name as a whole.
_STORES = ("mlruns", "lightning_logs", "tb_logs", "wandb")


def is_ignored(path: str, patterns: tuple[str, ...], results: str) -> bool:
    """Whether an input, as records store its path, is named by a pattern; what lies in the folder of results never is.

    `*` and `?` stay within a name, `**` is any number of folders; `name/` means all that is in that folder.
    """
    if path.startswith(f"{results}/"):
        return False
    if _ALWAYS.search(path):
        return True
    # SQLite keeps what it has not yet put into a database in a file beside it.
    parts = path.rstrip("/").removesuffix("-wal").split("/")
    return any(_fits(parts, _parts(pattern)) for pattern in patterns)


def _parts(pattern: str) -> list[str]:
    whole = f"{pattern}**" if pattern.endswith("/") else pattern
    return whole.removeprefix("./").split("/")


def _fits(path: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def pattern_for(path: str) -> str:
    """A pattern that names an input: its file, or the whole store that it lies in."""
    folders = path.split("/")[:-1]
    store = next((number for number, name in enumerate(folders, 1) if name in _STORES), None)
    if store is not None:
        return f"{glob.escape('/'.join(folders[:store]))}/**"
    return glob.escape(path.removesuffix("-wal")) + ("**" if path.endswith("/") else "")

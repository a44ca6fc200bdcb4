"""The state of the project's git repository, asked of git once a sweep."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any


def git_state(root: Path) -> dict[str, Any]:
    """`git_commit` and `git_dirty` of the project, `None` where there is no git repository."""
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        told = None
    if told is None or told.returncode:
        return {"git_commit": None, "git_dirty": None}
    lines = told.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), None)
    return {
        "git_commit": None if commit == "(initial)" else commit,
        "git_dirty": any(not line.startswith("#") for line in lines),
    }

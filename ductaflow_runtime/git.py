"""The state of the project's git repository, asked of git once a sweep."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.project import load_settings, resolve_runs_dir


def git_state(root: Path, runs_dir: Path | None = None) -> dict[str, Any]:
    """`git_commit` and `git_dirty` of the project, `None` where there is no git repository.

    Files that git neither knows nor ignores make it dirty too; results and compiled modules never do.
    """
    if runs_dir is None:
        runs_dir = resolve_runs_dir(root, load_settings(root), None)
    results = relative_to_root(runs_dir, root)
    inside = results != "." and not Path(results).is_absolute()
    left_out = [":(exclude,glob)**/__pycache__/**", *([f":(exclude,literal){results}"] if inside else [])]
    command = ["git", "-C", str(root), "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
    command += ["--untracked-files=normal", "--", ".", *left_out]
    try:
        told = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
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

"""Helpers of the template tests: git, trees of files, and Python in a generated project."""

import os
import subprocess
import sys
from pathlib import Path

from tests.waiting import LAST_CHANCE_S

ROOT = Path(__file__).resolve().parents[2]
FIRST_TAG = "v0.1.0"


def isolation(home):
    """Environment variables that give a process a home and a git identity of its own."""
    who = {"NAME": "Tester", "EMAIL": "tester@example.invalid"}
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
    }


def git(folder, *arguments, env=None):
    """The output of a git command in `folder`."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout


def commit_all(folder, message="Change", tag=None, env=None):
    """Commit everything in `folder`, and tag it."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main", env=env)
    git(folder, "add", "--all", env=env)
    git(folder, "commit", "--quiet", "--message", message, env=env)
    if tag:
        git(folder, "tag", tag, env=env)


def run_python(project, *arguments):
    """Run this Python in the project, as an analyst would in a terminal."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, check=False, capture_output=True, text=True, timeout=LAST_CHANCE_S
    )


def tree(folder):
    """The files below `folder`, without git's own."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }

"""One bad input: what is typed in a small project, and what it is told when it is tried."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import io
import math
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from click.testing import CliRunner

import ductaflow
from ductaflow import DuctaflowError, InstancesFailed
from ductaflow_runtime.cli.main import main
from tests.markdown_pages import with_our_python

LIMIT_S = 60
COMMAND = "$ "
PROJECT = "PROJECT"
FILES: dict[str, str] = {
    "pyproject.toml": '[project]\nname = "traffic"\n',
    "config/base.json": '{"year": 2030, "toll": {"price": 2.5}}\n',
    "flow/toll.py": """\
# %% tags=["parameters"]
config = {}

# %%
from ductaflow import is_notebook_execution, load_cli_config, save_results

if not is_notebook_execution():
    config = load_cli_config("config/base.json")

# %%
save_results(cost=config["toll"]["price"] * 2 + config["year"] - 2030)
""",
}
ROWS = 'rows = pd.DataFrame({"instance_name": ["a", "b"], "year": [2030, 2035], "toll.price": [2.5, 3.0]})'
# Words of what ductaflow is made of, or of Python's own insides, say nothing to somebody who has typed something wrong.
INSIDES = re.compile(
    r"ductaflow_runtime|papermill|nbclient|nbformat|jupytext|tomllib|multiprocessing|concurrent\.futures\.\w+\.|Traceback"
    r"|site-packages|<frozen|\bErrno\b|NoneType|object has no attribute|codec can't|Exceeds the limit|\.tmp\b"
    r"|not subscriptable|unhashable|unexpected keyword|RecursionError|AttributeError|AssertionError"
)


@dataclass(frozen=True)
class Bad:
    """`typed` is Python, or commands, each on a line that begins with `$ `; `files` are those of the project beside."""

    typed: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    @property
    def is_command(self) -> bool:
        """Whether it is typed in a terminal."""
        return self.typed.startswith(COMMAND)


@dataclass(frozen=True)
class Section:
    """Bad inputs of one kind; `files` are those that all of them are tried with."""

    title: str
    cases: tuple[Bad, ...]
    about: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)


def said(case: Bad, folder: Path, more: Mapping[str, str | bytes]) -> str:
    """What is said when a case is tried in an empty folder; raises `AssertionError` if nothing is."""
    root = folder / PROJECT
    for name, content in {**FILES, **more, **case.files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with contextlib.chdir(root), _in_time(), _own_environment():
        told = _from_commands(case.typed) if case.is_command else _from_python(case.typed)
    shown = told.replace(f"{root.resolve()}/", f"{PROJECT}/").replace(str(root.resolve()), PROJECT)
    return "\n".join(line.rstrip() for line in shown.strip().splitlines())


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _from_python(typed: str) -> str:
    names: dict[str, Any] = {name: getattr(ductaflow, name) for name in ductaflow.__all__}
    names |= {"np": np, "pd": pd, "os": os, "math": math, "datetime": datetime, "Path": Path, "__name__": "conductor"}
    names["Decimal"] = decimal.Decimal
    exec(ROWS, names)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(typed, names)
        except InstancesFailed as error:
            failed = {record.instance_name for record in error.records}
            statuses = error.results.set_index("instance_name")["status"]
            assert set(statuses.drop(list(failed))) <= {"done"}, f"a bad row has cost another one: {statuses.to_dict()}"
            return f"InstancesFailed: {error}"
        except DuctaflowError as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError(f"nothing is said about {typed}")


def _from_commands(typed: str) -> str:
    *before, last = [line.removeprefix(COMMAND) for line in typed.splitlines()]
    for line in before:
        assert _command(line)[0] == 0, line
    code, told = _command(last)
    assert code == 2, f"{last} ends with {code}: {told}"
    return told


def _command(line: str) -> tuple[int, str]:
    """The exit code of a command, and what it says; `ductaflow` runs in this process, which is quick."""
    words = shlex.split(line)
    if words[0] == "ductaflow":
        done = CliRunner().invoke(main, words[1:], prog_name="ductaflow")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(f"{line} ends with {done.exception!r}")
        return done.exit_code, done.output
    ended = subprocess.run(
        ["bash", "-c", line], env=with_our_python(), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return ended.returncode, ended.stderr

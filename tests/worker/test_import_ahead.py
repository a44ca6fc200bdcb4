"""What workers import ahead makes instances fast, and changes nothing of what a fresh interpreter would give them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest

from ductaflow import run_instances
from tests.conftest import Project
from tests.worker.conftest import PACKAGE

SAVES = """
import os
from ductaflow import save_results
save_results(n=config["n"], value=tiny.VALUE, own=tiny.LOADED_BY == os.getpid())
"""
IN_A_WORKER = "import os, sys\nif not os.path.exists('config.json'):\n    "
AFTERWARDS = f"\n{PACKAGE}"

SETTING = {
    "in the flow": "import os\nos.environ['TINY'] = '1'\nimport PACKAGE as tiny",
    "by a magic": "%env TINY=1\nimport PACKAGE as tiny",
    "in a module": "import lib.setup\nimport PACKAGE as tiny",
    "in a module's module": "from lib import outer\nimport PACKAGE as tiny",
    "in a module of the flow's folder": "import beside\nimport PACKAGE as tiny",
    "by a function": "from lib.tool import prepare\nprepare()\nimport PACKAGE as tiny",
    "before a function": (
        "import os\nos.environ.update(TINY='1')\ndef f():\n    import PACKAGE\n    return PACKAGE\ntiny = f()"
    ),
}
ENDS = {"exit": "os._exit(3)", "crash": "os.kill(os.getpid(), 11)", "SystemExit": "sys.exit(4)"}
LEAVES = {
    "threads": ("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"),
    "a process": ("import subprocess\nsubprocess.Popen(['sleep', '60'])", "process"),
    "a connection": ("import socket\nkept = socket.socket()", "socket"),
    "an open file": ("kept = open(__file__)", "open"),
    "a text": ("print('tiny says so')", "prints"),
    "a warning": ("import warnings\nwarnings.warn('tiny warns')", "warns"),
}


@pytest.fixture(scope="session")
def engine() -> str:
    """It is forks that workers import ahead for."""
    return "fork"


def sweep(flow: str = "flow/step.py", rows: int = 3) -> pd.DataFrame:
    """A sweep on one worker, every row executed."""
    return run_instances(pd.DataFrame({"n": range(rows)}), flow, force=True, workers=1)


def values(frame: pd.DataFrame) -> list[object]:
    """What the package had found in the environment, row by row."""
    return [None if pd.isna(value) else value for value in frame["result.value"]]


@pytest.mark.parametrize("engine", ["fork", pytest.param("spawn", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("case", SETTING)
def test_what_is_set_before_an_import(project: Project, install: Callable[..., str], case: str) -> None:
    """A package that reads the environment as it is imported finds what the flow has set before."""
    project.write("lib/setup.py", "import os\nos.environ['TINY'] = '1'\n")
    project.write("lib/outer.py", "from . import setup\n")
    project.write("lib/tool.py", "import os\ndef prepare():\n    os.environ.setdefault('TINY', '1')\n")
    project.write("flow/beside.py", "from os import environ\nenviron['TINY'] = '1'\n")
    project.flow(f"# %%\n{SETTING[case].replace('PACKAGE', install())}{SAVES}")
    assert values(sweep()) == ["1"] * 3
    assert values(sweep(rows=2)) == ["1"] * 2


def test_what_another_flow_has_imported(project: Project, install: Callable[..., str]) -> None:
    """A worker that is warm for one flow does not serve another that would find more there than it imports."""
    name = install()
    project.flow(f"# %%\nimport {name} as tiny{SAVES}", "flow/plain.py")
    project.flow(f"# %%\nimport os\nos.environ['TINY'] = '1'\nimport {name} as tiny{SAVES}", "flow/sets.py")
    text = "# %%\nimport sys\nfrom ductaflow import save_results\n"
    project.flow(f"{text}save_results(n=config['n'], value={name!r} in sys.modules)", "flow/without.py")
    for _ in range(2):
        plain = sweep("flow/plain.py")
        assert values(plain) == [None] * 3
        assert not plain["result.own"].any(), "it was not imported ahead"
        assert values(sweep("flow/sets.py")) == ["1"] * 3
        assert values(sweep("flow/without.py")) == [False] * 3


def test_an_import_that_may_not_happen(project: Project, install: Callable[..., str]) -> None:
    """What only some rows import is not there in the others."""
    name = install()
    project.flow(
        f"# %%\nif config['n'] == 1:\n    import {name}\n\n# %%\nimport sys\n"
        f"from ductaflow import save_results\nsave_results(value={name!r} in sys.modules)"
    )
    assert values(sweep()) == [False, True, False]


@pytest.mark.parametrize("how", ENDS)
def test_an_import_that_ends_a_worker(
    project: Project, install: Callable[..., str], capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """It costs that package its preloading, is told once, and no row fails of it."""
    name, other = install(f"{IN_A_WORKER}{ENDS[how]}{AFTERWARDS}"), install()
    project.flow(
        f"# %%\nimport {name} as tiny\nimport {other}{SAVES}save_results(other={other}.LOADED_BY == os.getpid())"
    )
    frame = sweep()
    assert frame["status"].tolist() == ["done"] * 3
    assert frame["result.own"].tolist() == [True] * 3
    assert frame["result.other"].tolist() == [False] * 3
    told = capsys.readouterr().err
    assert told.count(name) == (0 if how == "SystemExit" else 1)  # that one can be caught
    sweep(rows=1)
    assert name not in capsys.readouterr().err


def test_an_import_that_hangs(
    project: Project, install: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """After some time it ends the worker, which then counts as any other end."""
    name = install(f"{IN_A_WORKER}import time; time.sleep(600){AFTERWARDS}")
    code = f"""
from pathlib import Path
from ductaflow_runtime.worker.preload import Preloader
Preloader(Path("note"), limit_s=0.5).preload(["json", {name!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, check=False, timeout=60)
    assert done.returncode == -signal.SIGALRM
    assert (project.root / "note").read_text() == name
    other = install(f"{IN_A_WORKER}os.kill(os.getpid(), {int(signal.SIGALRM)}){AFTERWARDS}")
    project.flow(f"# %%\nimport {other} as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [True] * 3
    assert f"importing {other} takes too long" in capsys.readouterr().err


@pytest.mark.parametrize("what", LEAVES)
def test_an_import_that_leaves_something_behind(
    project: Project, install: Callable[..., str], capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Where a fork would lack or share what an import leaves, each instance imports it itself; why is told once."""
    text, reason = LEAVES[what]
    name = install(f"{text}\n{PACKAGE}")
    project.flow(f"# %%\nimport {name} as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [True] * 3
    told = [line for line in capsys.readouterr().err.splitlines() if f"importing {name} " in line]
    assert len(told) == 1
    assert reason in told[0]


def test_what_cannot_be_seen(project: Project, install: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """MPI belongs to the process that started it, which nothing in the process shows."""
    install(name="mpi4py")
    project.flow(f"# %%\nimport mpi4py as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [True] * 3
    assert capsys.readouterr().err.count("importing mpi4py starts MPI") == 1


def test_what_a_library_opens_anew(project: Project, install: Callable[..., str]) -> None:
    """PROJ has its database open, and opens it anew in a fork: geopandas is imported once."""
    project.write("share/proj.db", "")
    name = install(f"kept = open({str(project.root / 'share' / 'proj.db')!r})\n{PACKAGE}")
    project.flow(f"# %%\nimport {name} as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [False] * 3

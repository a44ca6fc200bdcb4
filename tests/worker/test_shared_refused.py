"""Shared cells may not do what an instance would notice; then each executes them itself, and a line says why."""

from __future__ import annotations

import pandas as pd
import pytest

from ductaflow import run_instances
from tests.conftest import Project
from tests.worker.shared_cells import SAVES, TOKEN, sweep, tokens, write

pytestmark = pytest.mark.usefixtures("steady_packages")

REFUSED = {
    "writes a file": ("open('made.txt', 'w').write('x')", "writes files (made.txt)"),
    "writes elsewhere": (
        "from ductaflow import project_path\nproject_path('made.txt').write_text('x')",
        "writes files (",
    ),
    "makes a folder": ("import os\nos.makedirs('made', exist_ok=True)", "writes files (made)"),
    "leaves a thread": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "leaves threads",
    ),
    "starts a process": ("import subprocess\nsubprocess.Popen(['sleep', '1'])", "starts a process"),
    "runs a command": ("!true", "starts a process"),
    "leaves a connection": ("import socket\nkept = socket.socket()", "socket"),
    "leaves a file open": ("kept = open('/etc/hostname')", "leaves /etc/hostname open"),
    "leaves memory in common": (
        "import mmap\nbuffer = mmap.mmap(-1, 8)",
        "leaves memory behind that forks would share",
    ),
    "leaves a lock of several processes": (
        "import multiprocessing\nlock = multiprocessing.get_context('fork').Lock()",
        "leaves memory behind that forks would share",
    ),
    "registers something for the end": (
        "import importlib\nimportlib.import_module('at' + 'exit').register(print, 'over')",
        "registers what is to be done at the end",
    ),
    "has something done when it is gone": (
        "import weakref\nclass Kept: pass\nkept = Kept()\ndef over(): pass\nweakref.finalize(kept, over)",
        "registers what is to be done at the end",
    ),
    "leaves a task": (
        "import asyncio\ntask = asyncio.create_task(asyncio.sleep(60))\nawait asyncio.sleep(0)",
        "leaves tasks",
    ),
    "saves results": ("from ductaflow import save_results\ndef save(): save_results(early=1)\nsave()", "saves results"),
    "asks where it is": ("import os\nplace = os.getcwd()", "asks for the working directory"),
    "reads its own folder": ("text = open('config.json').read()", "reads config.json"),
    "changes its folder": ("import os\nos.chdir('/')", "changes the working directory"),
    "redirects its output": (
        "import sys\nclass Tee:\n    write = sys.stdout.write\n    flush = sys.stdout.flush\nsys.stdout = Tee()",
        "in the place of sys.stdout",
    ),
    "handles interrupts": ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)", "handles interrupts"),
    "calls save_results": (
        "from ductaflow import save_results\nsave_results(early=1)",
        "cell 1 is tagged `shared`, but calls save_results()",
    ),
    "asks for an instance": (
        "from ductaflow import instance_path\nother = instance_path('step', 'r0')",
        "cell 1 is tagged `shared`, but calls instance_path()",
    ),
    "makes a generator": (
        "import numpy as np\nrng = np.random.default_rng()",
        "makes a random generator without a seed",
    ),
    "makes one of Python's": (
        "import random\nclass Sim:\n    def __init__(self):\n        self.draw = random.Random().random\nsim = Sim()",
        "makes a random generator without a seed",
    ),
    "draws": ("import numpy as np\nnoise = np.random.rand()", "draws random numbers without a seed"),
    "draws with Python": ("import random\nrandom.shuffle([1, 2, 3])", "draws random numbers without a seed"),
    "draws, then seeds": (
        "import random\nfirst = random.random()\nrandom.seed(3)",
        "draws random numbers without a seed",
    ),
    "seeds with nothing, and draws": (
        "import numpy as np\nnp.random.seed()\nnoise = np.random.rand()\nnp.random.seed(3)",
        "draws random numbers without a seed",
    ),
    "draws in a library": (
        "import pandas as pd\npicked = pd.Series(range(1000)).sample(10)",
        "draws random numbers without a seed",
    ),
    "draws with Arrow": (
        "import pyarrow.compute as pc\nfirst = pc.random(1).to_pylist()",
        "draws random numbers with Arrow",
    ),
    "makes one somewhere": (
        "import numpy as np\ndef make(): return np.random.default_rng()\nrng = make()",
        "makes a random generator without a seed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_they_may_not_do(project: Project, capfd: pytest.CaptureFixture[str], case: str) -> None:
    """Then each instance executes them itself, and one line says why."""
    code, reason = REFUSED[case]
    write(project, f"{TOKEN}{code}")
    frame = sweep(2)
    assert frame["status"].tolist() == ["done"] * 2
    assert tokens(frame) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if "shared cells" in line]
    assert len(told) == 1
    assert reason in told[0]
    assert "flow/step.py" in told[0]


def test_what_they_may_not_do_is_kept_from_happening(project: Project) -> None:
    """A counter that they would count up is counted up by the instances alone."""
    project.write("counter.txt", "0")
    counts = """
    from ductaflow import project_path
    try:
        number = int(project_path("counter.txt").read_text()) + 1
        project_path("counter.txt").write_text(str(number))
    except Exception:
        pass
    """
    write(project, counts, rest=SAVES.replace("token=token", "number=number"))
    names = pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2]})
    frame = run_instances(names, "flow/step.py", workers=1)
    assert frame["result.number"].tolist() == [1, 2]


def test_reading_the_config_is_told(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """They stand above it, so each instance fails of it, as it would without the tag."""
    write(project, "print(config)")
    frame = sweep(on_error="continue")
    assert frame["error"].str.contains("NameError").all()
    told = capfd.readouterr().err
    assert "cell 1 is tagged `shared`, but reads `config`, which each instance is given further down" in told


PLACES = {
    "below": (
        'X = 1\n# %% tags=["parameters"]\nconfig = {}\n# %% tags=["shared"]\nY = 1\n',
        "cell 3 is tagged `shared`, but is not above the parameters cell, so each instance runs it itself",
    ),
    "after an ordinary one": (
        'X = 1\n# %%\nZ = 1\n# %% tags=["shared"]\nY = 1\n# %% tags=["parameters"]\nconfig = {}\n',
        "cell 3 is tagged `shared`, but cell 2 above it is not, so each instance runs it itself",
    ),
}


@pytest.mark.parametrize("case", PLACES)
def test_where_they_may_not_stand(project: Project, capfd: pytest.CaptureFixture[str], case: str) -> None:
    """Such a cell is an ordinary one; those above it are executed once all the same."""
    text, note = PLACES[case]
    project.write_flow("flow/step.py", f'# %% tags=["shared"]\n{TOKEN}{text}{SAVES}')
    frame = sweep()
    assert frame["status"].eq("done").all()
    assert tokens(frame) == 1
    assert capfd.readouterr().err.count(f"ductaflow: flow/step.py: {note}\n") == 1

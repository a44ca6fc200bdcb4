"""Cells tagged `shared` are executed once for all instances, or else by each of them, and it makes no difference."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sysconfig
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import InstancesFailed, run_instances, run_notebook
from ductaflow_runtime.worker.pool import pool
from tests.conftest import HEAD, Project
from tests.waiting import wait_for
from tests.worker.conductors import RUNS_ONE, interrupt, start

pytestmark = pytest.mark.usefixtures("steady_packages")

# As native code does, which nobody sees.
TELLS = "import ctypes\nctypes.CDLL(None).creat({!r}.encode(), 0o644)\n"
TOKEN = "import uuid\ntoken = uuid.uuid4().hex\n"
SAVES = '# %%\nfrom ductaflow import save_results\nsave_results(token=token, n=config["n"])\n'


def write(project: Project, *shared: str, rest: str = SAVES) -> Path:
    """A flow with these shared cells above its head."""
    cells = "".join(f'# %% tags=["shared"]\n{textwrap.dedent(cell)}\n' for cell in shared)
    return project.write_flow("flow/step.py", cells + HEAD + textwrap.dedent(rest))


def sweep(rows: int = 3, **options: object) -> pd.DataFrame:
    """Some rows on two workers."""
    names = [f"r{n}" for n in range(rows)]
    frame = pd.DataFrame({"instance_name": names, "n": range(rows)})
    return run_instances(frame, "flow/step.py", workers=2, **options)  # type: ignore[arg-type]


def tokens(frame: pd.DataFrame) -> int:
    """How often the shared cells of these rows were executed."""
    return int(frame["result.token"].nunique())


def outputs(project: Project, name: str) -> list[object]:
    """Count and outputs of each code cell, times and addresses aside."""
    cells = [cell for cell in project.notebook("step", name)["cells"] if cell["cell_type"] == "code"]
    return [[cell["execution_count"], [output.get("text") or output for output in cell["outputs"]]] for cell in cells]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_an_instance_has_of_them_what_it_would_have_executed_itself(project: Project, engine: str) -> None:
    """Variables, outputs, counts, history, log, inputs, modules and warnings; whatever the engine."""
    project.write("data/links.csv", "a\n1\n2\n")
    project.write("lib/tool.py", "CALLS = []\n\ndef scale(x):\n    CALLS.append(x)\n    return 2 * x\n")
    write(
        project,
        "import decimal, warnings\nfrom lib import tool\nfrom ductaflow import project_path\n"
        "decimal.getcontext().prec = 5\nprint('loading')\ntool.scale(3)\n",
        "text = open(project_path('data/links.csv')).read()\nwarnings.warn('careful')\nlen(text)",
        rest="""
        # %%
        import sys
        same = sys.modules["lib.tool"] is tool
        print(In[2].splitlines()[0], Out, _oh is Out, decimal.Decimal(1) / 3, same, tool.CALLS)
        config["n"], _2
        # %%
        from ductaflow import save_results
        save_results(n=config["n"], text=text)
        """,
    )
    record = run_notebook("flow/step.py", {"n": 7}, instance_name="x")
    assert record.results == {"n": 7, "text": "a\n1\n2\n"}
    assert record.warnings == 1
    assert set(record.fingerprint["inputs"]) == {"data/links.csv"}
    assert set(record.fingerprint["modules"]) == {"lib/tool.py"}
    told = outputs(project, "x")
    assert [count for count, _ in told][:3] == [1, 2, 3]
    assert told[0][1][-1] != told[0][1][0]
    assert "execute_result" in str(told[0][1])
    line = "text = open(project_path('data/links.csv')).read() {1: 6, 2: 6} True 0.33333 True [3]\n"
    assert told[-2][1][0] == [line]
    log = (record.directory / "run.log").read_text()
    assert [line in log for line in ("out | loading", "careful")] == [True, True]
    assert log.index("loading") < log.index("text = open")


def test_they_are_executed_once(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """However many instances, workers and calls; anew in a call that is forced, and once in it."""
    write(project, TOKEN)
    first = sweep()
    assert first["status"].eq("done").all()
    assert tokens(first) == 1
    assert tokens(pd.concat([first, sweep(5)[3:]])) == 1
    forced = sweep(force=True)
    assert tokens(forced) == 1
    assert tokens(pd.concat([first, forced])) == 2
    assert tokens(pd.concat([forced, sweep(7)[5:]])) == 1
    assert "shared" not in capfd.readouterr().err


def test_what_lies_outside_the_project(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that changes there makes nothing run again, but whatever runs has what is in it, or in a module there."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "zones_2030.csv").write_text("10")
    (outside / "outer_model.py").write_text("FACTOR = 1\n")
    reads = (
        f"import sys\nsys.path.append({str(outside)!r})\nfrom outer_model import FACTOR\n"
        f"value = FACTOR * int(open(f'{outside}/zones_{{2030}}.csv').read())"
    )
    write(project, reads, rest=SAVES.replace("token=token", "value=value"))
    assert sweep(2)["result.value"].tolist() == [10] * 2
    (outside / "zones_2030.csv").write_text("777")
    assert sweep(4)["result.value"].tolist() == [10, 10, 777, 777]
    (outside / "outer_model.py").write_text("FACTOR = 100\n")
    assert sweep(4, force=True)["result.value"].tolist() == [77700] * 4


def test_what_another_program_has_told_them_counts_for_one_call(project: Project) -> None:
    """Nobody can compare what a server says now, so the next call asks it again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asks = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]})).close()\n"
        write(project, TOKEN + asks)
        first = sweep(2)
        assert tokens(first) == 1
        assert tokens(pd.concat([first, sweep(3)[2:]])) == 2


def test_a_file_that_is_saved_again_within_the_time_that_its_disk_tells(project: Project) -> None:
    """Where size and time are the same, bytes count: what is recorded is what was read."""
    file, moment = project.write("data/f.csv", "1"), int(time.time()) + 600
    os.utime(file, (moment, moment))
    reads = "from ductaflow import project_path\nvalue = int(open(project_path('data/f.csv')).read())"
    write(project, reads, rest=SAVES.replace("token=token", "value=value"))
    assert sweep(1)["result.value"].tolist() == [1]
    file.write_text("2")
    os.utime(file, (moment, moment))
    assert sweep(1)["result.value"].tolist() == [2]


def test_a_package_that_is_edited_in_place(project: Project, install: Callable[..., str]) -> None:
    """A forced call imports anew also what workers import ahead."""
    name = install("VALUE = 1\n")
    project.write_flow(
        "flow/step.py",
        f"{HEAD}# %%\nimport {name}\nfrom ductaflow import save_results\n"
        f"save_results(value={name}.VALUE, n=config['n'])\n",
    )
    assert sweep(1)["result.value"].tolist() == [1]
    Path(sysconfig.get_path("purelib"), f"{name}.py").write_text("VALUE = 22\n")
    assert sweep(1, force=True)["result.value"].tolist() == [22]


def test_a_large_table_is_in_memory_once(project: Project) -> None:
    """An instance has little memory of its own beside what it shares."""
    write(
        project,
        "import numpy as np\ntable = np.ones(25_000_000)",
        rest="""
        # %%
        from ductaflow import save_results
        lines = open("/proc/self/smaps_rollup").read().splitlines()
        private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        save_results(private=private / 1024, total=float(table[:10].sum()), n=config["n"])
        """,
    )
    frame = sweep()
    assert frame["result.total"].tolist() == [10.0] * 3
    assert (frame["result.private"] < 60).all()


def test_what_they_set_stays(project: Project) -> None:
    """The import path, the environment, the options of libraries: whatever a cell sets for those after it."""
    write(
        project,
        "import os, sys, numpy as np\nsys.path.insert(0, '/first')\nos.environ['SET_HERE'] = '1'\n"
        "np.set_printoptions(precision=2)\nsys.argv.append('more')",
        rest="""
        # %%
        from ductaflow import save_results
        told = [sys.path[0], os.environ["SET_HERE"], str(np.array([1 / 3])), str(len(sys.argv))]
        save_results(told=told, n=config["n"])
        """,
    )
    assert sweep()["result.told"].tolist() == [["/first", "1", "[0.33]", "2"]] * 3


def test_a_parquet_file_is_read_once(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Arrow's threads begin anew in every instance."""
    pd.DataFrame({"a": range(300_000)}).to_parquet(project.root / "links.parquet", row_group_size=10_000)
    reads = "import pandas as pd\nfrom ductaflow import project_path\ndef read():\n    return pd.read_parquet(path)\n"
    rest = SAVES.replace("token=token", "token=token, rows=len(read())")
    write(project, f"{TOKEN}{reads}path = project_path('links.parquet')\ntable = read()", rest=rest)
    frame = sweep()
    assert frame["result.rows"].tolist() == [300_000] * 3
    assert tokens(frame) == 1
    assert "shared" not in capfd.readouterr().err


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
    frame = sweep()
    assert frame["status"].tolist() == ["done"] * 3
    assert tokens(frame) == 3
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


def test_their_error_is_that_of_every_instance(project: Project) -> None:
    """It is told with its cell in each record and notebook, and nowhere executed again; the next call tries anew."""
    write(project, "X = 1", f"{TOKEN}raise ValueError(token)")
    with pytest.raises(InstancesFailed) as caught:
        sweep()
    records = [project.record("step", f"r{n}") for n in range(3)]
    assert {(record["error"]["type"], record["error"]["cell"]) for record in records} == {("ValueError", 2)}
    assert len({record["error"]["message"] for record in records}) == 1
    assert records[0]["error"]["message"] in (project.root / "runs/step/r2/run.log").read_text()
    assert "raise ValueError(token)" in str(caught.value)
    assert outputs(project, "r1")[3][0] is None, "nothing is executed after it"
    frame = sweep(on_error="continue")
    assert records[0]["error"]["message"] not in frame["error"][0]
    write(project, "X = 1", TOKEN)
    assert sweep()["status"].eq("done").all()


def test_random_numbers(project: Project) -> None:
    """What they have seeded goes on from there in every instance; else each draws its own."""
    draws = """
    # %%
    from ductaflow import save_results
    import random
    import numpy as np
    save_results(python=random.random(), numpy=np.random.rand(), token=token, n=config["n"])
    """
    # A library that draws with a seed of its own, and puts back what was there.
    puts_back = "states = random.getstate(), np.random.get_state()\nrandom.seed(3)\nnp.random.seed(3)\n"
    puts_back += (
        "first = random.random() + np.random.rand()\nrandom.setstate(states[0])\nnp.random.set_state(states[1])"
    )
    imports = f"import random\nimport numpy as np\n{TOKEN}"
    for unseeded in ("", puts_back, "random.seed()\nnp.random.seed()"):
        write(project, f"{imports}{unseeded}", rest=draws)
        frame = sweep()
        assert frame[["result.python", "result.numpy", "result.token"]].nunique().tolist() == [3, 3, 1]
    write(project, f"{imports}random.seed(3)\nnp.random.seed(3)\nnp.random.rand()", rest=draws)
    frame = sweep()
    assert tokens(frame) == 1
    import random

    import numpy as np

    generator = np.random.RandomState(3)
    generator.rand()
    assert frame["result.python"].tolist() == [random.Random(3).random()] * 3
    assert frame["result.numpy"].tolist() == [generator.rand()] * 3


@pytest.mark.engines("fork", "spawn")
def test_what_they_draw_without_a_seed(project: Project) -> None:
    """Every instance has numbers of its own, whatever the engine."""
    write(project, "import numpy as np\nnoise = np.random.rand()", rest=SAVES.replace("token=token", "noise=noise"))
    assert sweep()["result.noise"].nunique() == 3


# How shared cells look whether `data/more.csv` is there.
LOOKS = {
    "by literal": 'path = project_path("data/more.csv")',
    "put together": 'path = project_path("data", "more" + ".csv")',
    "in a module": "from lib.places import MORE\npath = project_path() / MORE",
}


@pytest.mark.engines("fork", "spawn")
@pytest.mark.parametrize("case", LOOKS)
def test_a_file_that_comes_after_they_asked_whether_it_is_there(project: Project, engine: str, case: str) -> None:
    """What starts after the file has come begins with it, and no record says that a file was read which was not."""
    project.write("lib/places.py", 'MORE = "data/more.csv"\n')
    looks = f"from ductaflow import project_path\n{LOOKS[case]}\ntext = path.read_text() if path.exists() else ''\n"
    write(project, TOKEN, looks, rest=SAVES.replace("token=token", "token=token, text=text"))
    assert sweep(2)["result.text"].tolist() == [""] * 2
    project.write("data/more.csv", "here")
    frame = sweep(3)
    assert frame["result.text"].tolist()[2] == "here"
    if engine == "fork" and case != "in a module":
        assert frame["reason"].tolist() == ["input: data/more.csv (was not there)"] * 2 + ["new"]
    assert sweep(3)["status"].eq("up to date").all()
    project.write("data/more.csv", "there")
    assert sweep(3)["result.text"].tolist()[2] == "there"


def test_a_change_of_what_they_read_or_are(project: Project) -> None:
    """A file, a module or their own text changed: a new execution. A comment: none."""
    project.write("data/links.csv", "1")
    project.write("lib/tool.py", "FACTOR = 1\n")
    reads = (
        f"{TOKEN}from lib.tool import FACTOR\nfrom ductaflow import project_path\n"
        "value = FACTOR * int(open(project_path('data/links.csv')).read())"
    )
    rest = SAVES.replace("token=token", "token=token, value=value")
    write(project, reads, rest=rest)
    first = sweep()
    assert first["result.value"].tolist() == [1] * 3

    assert sweep()["status"].eq("up to date").all()

    project.write("data/links.csv", "2")
    changed = sweep()
    assert changed["reason"].eq("input: data/links.csv").all()
    assert (changed["result.value"].tolist(), tokens(changed)) == ([2] * 3, 1)

    project.write("lib/tool.py", "FACTOR = 10\n")
    changed = sweep()
    assert changed["reason"].eq("module: lib/tool.py").all()
    assert (changed["result.value"].tolist(), tokens(changed)) == ([20] * 3, 1)

    write(project, f"# what a comment says\n{reads}", rest=rest)
    assert sweep()["status"].eq("refreshed").all()

    write(project, f"{reads} + 1", rest=rest)
    changed = sweep()
    assert changed["reason"].eq("code: cell 1").all()
    assert (changed["result.value"].tolist(), tokens(changed)) == ([21] * 3, 1)
    assert sweep()["status"].eq("up to date").all()


def test_another_version_of_a_package(project: Project, install: Callable[..., str]) -> None:
    """What the shared cells import is imported anew, and every instance runs again."""
    name, site = install(), Path(sysconfig.get_path("purelib"))

    def release(version: int) -> None:
        for old in site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (site / f"{name}.py").write_text(f"VALUE = {version}\n")

    try:
        release(1)
        rest = SAVES.replace("token=token", "token=token, value=VALUE")
        write(project, f"{TOKEN}from {name} import VALUE", rest=rest)
        assert sweep()["result.value"].tolist() == [1] * 3
        release(22)
        changed = sweep()
        assert changed["reason"].eq(f"package: {name} 1 -> 22").all()
        assert (changed["result.value"].tolist(), tokens(changed)) == ([22] * 3, 1)
    finally:
        for old in site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)


def test_a_file_that_comes_to_be(project: Project) -> None:
    """A file that they looked for in vain makes every instance run again once it is there."""
    looks = """
    from ductaflow import project_path
    try:
        text = open(project_path("data/more.csv")).read()
    except OSError:
        text = ""
    """
    write(project, TOKEN, looks, rest=SAVES.replace("token=token", "token=token, text=text"))
    assert sweep()["result.text"].tolist() == [""] * 3
    project.write("data/more.csv", "here")
    assert sweep()["result.text"].tolist() == ["here"] * 3


def test_a_progress_bar_of_theirs_has_a_lock_in_each_instance(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    """An instance that is killed while a bar is drawn holds up no other; a bar of theirs can be gone on with."""
    write(
        project,
        f"{TOKEN}from tqdm import tqdm\nbar = tqdm(total=4)\nbar.update(1)\n",
        rest="""
        # %%
        import os
        from ductaflow import save_results
        if config["n"] == 0:
            tqdm.get_lock().acquire()
            os.kill(os.getpid(), 9)
        bar.update(1)
        bar.refresh()
        shown = [number for number in tqdm(range(2))]
        save_results(token=token, at=bar.n, locks=len(tqdm.get_lock().locks))
        """,
    )
    frame = sweep(4, on_error="continue", timeout=20)
    assert frame["status"].tolist() == ["failed", "done", "done", "done"]
    assert frame["result.at"].tolist()[1:] == [2] * 3
    assert frame["result.locks"].tolist()[1:] == [2] * 3
    assert frame["result.token"].dropna().nunique() == 1
    assert "shared cells" not in capfd.readouterr().err


def test_the_time_limit(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """They have as much time as an instance; where that is over, each instance says so itself."""
    write(project, f"{TOKEN}import time\ntime.sleep(600)")
    frame = sweep(rows=1, on_error="continue", timeout=1.5)
    assert "timed out after 1.5 s" in frame["error"][0]
    assert "takes longer than the time limit of 1.5 s" in capfd.readouterr().err


def test_their_death(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """A process that ends in them is told as each instance's own death."""
    write(project, "import os\nos._exit(3)", rest="# %%\nprint(config['n'])\n")
    frame = sweep(on_error="continue")
    assert frame["error"].str.contains("exit code 3").all()
    assert capfd.readouterr().err.count("executing the shared cells of flow/step.py ends badly") == 1


def test_ctrl_c_ends_them(project: Project) -> None:
    """An interrupt does not wait for them; nothing has begun."""
    marker = project.root / "begun"
    write(project, f"{TELLS.format(str(marker))}import time\ntime.sleep(600)")
    conductor = start(project, RUNS_ONE.replace("{}", "{'n': 1}"), stderr=subprocess.PIPE)
    wait_for(marker.is_file, by=conductor)
    told = interrupt(conductor)
    assert "0 of 1 rows done" in told
    assert "shared cells" not in told
    assert not (project.root / "runs/step/x/run.json").exists()


def test_they_end_with_a_killed_conductor(project: Project) -> None:
    """The process that executes them does not compute on for nobody."""
    marker = project.root / "begun"
    write(project, f"{TELLS.format(str(marker))}import time\ntime.sleep(600)")
    conductor = start(project, RUNS_ONE.replace("{}", "{'n': 1}"), stderr=subprocess.PIPE)
    wait_for(marker.is_file, by=conductor)
    tasks = list(Path(f"/proc/{conductor.pid}/task").iterdir())
    bases = [pid for task in tasks for pid in (task / "children").read_text().split()]
    assert bases
    conductor.kill()
    conductor.communicate()
    wait_for(lambda: not any(_runs(pid) for pid in bases))


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_few_flows_are_kept_with_what_their_shared_cells_made(project: Project) -> None:
    """Large tables of several flows do not pile up in a session."""
    pool().close()
    for name in ("a", "b", "c"):
        project.write_flow(f"flow/{name}.py", f'# %% tags=["shared"]\n{TOKEN}\n{HEAD}{SAVES}')
        run_notebook(f"flow/{name}.py", {"n": 1})
    assert len([key for key in pool().bases if key[-1]]) == 2

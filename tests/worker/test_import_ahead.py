"""What workers import ahead makes instances fast, and changes nothing of what a fresh interpreter would give them."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.worker.dispatch import without_imports
from ductaflow_runtime.worker.fork_verdicts import Verdicts
from ductaflow_runtime.worker.import_ahead import EVERYWHERE, Ahead, imports_ahead
from tests.conftest import Project
from tests.once import common_folder, once
from tests.worker.conftest import PACKAGE, installer

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
# Of these, some are imported by a name in them as well.
NAMED = ["a text", "a warning", "threads", "crash"]


def install_package(install: Callable[..., str]) -> str:
    """A package with parts: `fast` and what that imports change its number, `late` is imported when it is used."""
    files = {
        "__init__": "import os\nFACTOR = 1\ndef lazy():\n    from . import late\n    return late.OWN == os.getpid()\n",
        "late": "import os\nOWN = os.getpid()\n",
        "fast": "from . import tables\n",
        "tables": "from . import __name__ as name\nimport sys\nsys.modules[name].FACTOR = 3\n",
    }
    return install(files)


def sweep(flow: str = "flow/step.py", rows: int = 3, first: int = 0) -> pd.DataFrame:
    """A sweep on one worker, of rows that are new."""
    return run_instances(pd.DataFrame({"n": range(first, first + rows)}), flow, workers=1)


def values(frame: pd.DataFrame) -> list[object]:
    """What the package had found in the environment, row by row."""
    return frame["result.value"].astype(object).where(frame["result.value"].notna(), None).tolist()


def write_setting(project: Project, case: str, name: str) -> None:
    """A flow that sets what the package reads, and the modules that help it."""
    project.write("lib/setup.py", "import os\nos.environ['TINY'] = '1'\n")
    project.write("lib/outer.py", "from . import setup\n")
    project.write("lib/tool.py", "import os\ndef prepare():\n    os.environ.setdefault('TINY', '1')\n")
    project.write("flow/beside.py", "from os import environ\nenviron['TINY'] = '1'\n")
    project.flow(f"# %%\n{SETTING[case].replace('PACKAGE', name)}{SAVES}")


@pytest.fixture(scope="module")
def plain(install_for_all: Callable[..., str]) -> str:
    """The name of a package as most are."""
    return install_for_all()


@pytest.mark.parametrize("case", SETTING)
def test_what_is_set_before_an_import(project: Project, plain: str, case: str) -> None:
    """A package that reads the environment as it is imported finds what the flow has set before."""
    write_setting(project, case, plain)
    assert values(sweep()) == ["1"] * 3
    assert values(sweep(rows=2, first=3)) == ["1"] * 2


@pytest.mark.engines("spawn")
def test_what_is_set_before_an_import_in_a_fresh_interpreter(project: Project, plain: str) -> None:
    """There it finds the same, by the nature of the thing."""
    for case in SETTING:
        write_setting(project, case, plain)
        assert values(sweep(rows=1)) == ["1"], case


LOOKS_AROUND = """
import os, sys
from pathlib import Path
above = [str(folder) for folder in Path.cwd().parents if (folder / "setting").exists()]
VALUE = [sys.argv[0], Path("setting").exists(), above]
LOADED_BY = os.getpid()
"""


ROWS = {"fork": 3, "spawn": 1}  # of which each has an interpreter of its own there


@pytest.fixture(scope="module")
def looking(install_for_all: Callable[..., str]) -> str:
    """The name of a package that looks around."""
    return install_for_all(LOOKS_AROUND)


@pytest.mark.engines("fork", "spawn")
def test_where_an_import_looks(project: Project, engine: str, looking: str) -> None:
    """A package that looks for settings and arguments as it is imported finds the same in a worker."""
    project.write("setting", "")
    flow = project.flow(f"# %%\nimport {looking} as tiny{SAVES}")
    frame = sweep(rows=ROWS[engine])
    assert values(frame) == [[str(flow), False, [str(project.root)]]] * ROWS[engine]
    assert frame["result.own"].tolist() == [engine == "spawn"] * ROWS[engine]
    assert Path.cwd() == project.root


@pytest.mark.engines("fork", "spawn")
def test_a_flow_that_goes_elsewhere_first(project: Project, engine: str, looking: str) -> None:
    """What it imports after that looks from there."""
    project.write("setting", "")
    project.flow(
        "# %%\nimport os\nfrom ductaflow import project_path\nos.chdir(project_path())\n"
        f"import {looking} as tiny{SAVES}"
    )
    assert [value[1] for value in sweep(rows=ROWS[engine])["result.value"]] == [True] * ROWS[engine]


def test_what_another_flow_has_imported(project: Project, plain: str) -> None:
    """A worker that is warm for one flow does not serve another that would find more there than it imports."""
    project.flow(f"# %%\nimport {plain} as tiny{SAVES}", "flow/plain.py")
    project.flow(f"# %%\nimport os\nos.environ['TINY'] = '1'\nimport {plain} as tiny{SAVES}", "flow/sets.py")
    text = "# %%\nimport sys\nfrom ductaflow import save_results\n"
    project.flow(f"{text}save_results(n=config['n'], value={plain!r} in sys.modules)", "flow/without.py")
    for first in (0, 3):
        frame = sweep("flow/plain.py", first=first)
        assert values(frame) == [None] * 3
        assert not frame["result.own"].any(), "it was not imported ahead"
        assert values(sweep("flow/sets.py", first=first)) == ["1"] * 3
        assert values(sweep("flow/without.py", first=first)) == [False] * 3


def test_an_import_that_may_not_happen(project: Project, plain: str) -> None:
    """What only some rows import is not there in the others."""
    project.flow(
        f"# %%\nif config['n'] == 1:\n    import {plain}\n\n# %%\nimport sys\n"
        f"from ductaflow import save_results\nsave_results(value={plain!r} in sys.modules)"
    )
    assert values(sweep()) == [False, True, False]


@pytest.fixture(scope="module")
def with_parts(install_for_all: Callable[..., str]) -> str:
    """The name of a package whose parts are imported on their own."""
    return install_package(install_for_all)


@pytest.mark.parametrize("where", ["the flow", "a module"])
def test_a_part_that_only_some_rows_import(project: Project, with_parts: str, where: str) -> None:
    """A row finds nothing of a package that an earlier row's code has asked for, nor what that part has brought in."""
    name = with_parts
    asks = f"if config['n'] % 3 == 1:\n    import {name}.fast"
    if where == "a module":
        project.write("lib/tool.py", f"def choose(n):\n    if n % 3 == 1:\n        import {name}.fast\n")
        asks = "from lib.tool import choose\nchoose(config['n'])"
    project.flow(
        f"# %%\nimport {name} as tiny\nfrom ductaflow import save_results\n{asks}\nsave_results(value=tiny.FACTOR)"
    )
    for first in (0, 3):
        assert values(sweep(first=first)) == [1, 3, 1]


def test_what_a_package_imports_on_its_own(project: Project, install: Callable[..., str]) -> None:
    """What it imports when it is first used is imported once."""
    name = install_package(install)
    project.flow(
        f"# %%\nimport {name} as tiny\nfrom ductaflow import save_results\n"
        "save_results(n=config['n'], value=tiny.lazy())"
    )
    assert values(sweep()) == [True, False, False]


def write_unfit(project: Project, install: Callable[..., str]) -> dict[str, str]:
    """A flow that imports what a worker cannot import ahead, and a package as most are behind it; their names."""
    texts = {how: f"{IN_A_WORKER}{code}{AFTERWARDS}" for how, code in ENDS.items()}
    texts |= {what: f"{text}\n{PACKAGE}" for what, (text, _) in LEAVES.items()}
    names = {case: install(text) for case, text in texts.items()}
    imports = [f"import {name} as of_{name}" for name in names.values()]
    for what in NAMED:
        name = names[f"a name: {what}"] = install(texts[what])
        imports.append(f"from {name} import LOADED_BY as found\nof_{name} = types.SimpleNamespace(LOADED_BY=found)")
        hidden = install(texts[what])
        text = f"import importlib\n__getattr__ = lambda _: importlib.import_module({hidden!r})\n"
        name = names[f"a module: {what}"] = install(text)
        imports.append(f"from {name} import part as of_{name}")
    name = names["fit"] = install()
    imports.append(f"import {name} as of_{name}")
    saved = ", ".join(f"{name}=of_{name}.LOADED_BY == os.getpid()" for name in names.values())
    saves = ["from ductaflow import save_results", f"save_results(n=config['n'], {saved})"]
    project.flow("\n".join(["# %%\nimport os, types", *imports, *saves, ""]))
    return names


@dataclass(frozen=True)
class Unfit:
    """What a sweep of that flow told, and what the next one did.

    `own` is for each package whether each row imported it itself.
    """

    names: dict[str, str]
    own: dict[str, list[bool]]
    statuses: list[str]
    told: str
    told_again: str


def sweep_unfit(root: Path, changes: Callable[[int], AbstractContextManager[None]]) -> None:
    """Have that flow executed for three rows, and for another one."""
    told, told_again = io.StringIO(), io.StringIO()
    with installer(changes) as install, pytest.MonkeyPatch.context() as patch:
        names = write_unfit(Project(root), install)
        patch.chdir(root)
        with contextlib.redirect_stderr(told):
            frame = sweep()
        with contextlib.redirect_stderr(told_again):
            sweep(rows=1, first=3)
    own = {case: frame[f"result.{name}"].tolist() for case, name in names.items()}
    seen = Unfit(names, own, frame["status"].tolist(), told.getvalue(), told_again.getvalue())
    (root / "seen.json").write_text(json.dumps(asdict(seen)))


@pytest.fixture(scope="module")
def unfit(tmp_path_factory: pytest.TempPathFactory, changes: Callable[[int], AbstractContextManager[None]]) -> Unfit:
    """What is told of packages that a worker cannot import ahead."""
    root = once(common_folder(tmp_path_factory) / "unfit", partial(sweep_unfit, changes=changes))
    return Unfit(**json.loads((root / "seen.json").read_text()))


def test_packages_that_cannot_be_imported_ahead_cost_no_other(unfit: Unfit) -> None:
    """No row fails of them, and a package that comes after them is imported once."""
    assert unfit.statuses == ["done"] * 3
    assert unfit.own["fit"] == [False] * 3


@pytest.mark.parametrize("how", ENDS)
def test_an_import_that_ends_a_worker(unfit: Unfit, how: str) -> None:
    """It costs that package its preloading, is told once, and no row fails of it."""
    assert unfit.statuses == ["done"] * 3
    assert unfit.own[how] == [True] * 3
    assert unfit.told.count(unfit.names[how]) == (0 if how == "SystemExit" else 1)  # that one can be caught
    assert unfit.names[how] not in unfit.told_again


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
def test_an_import_that_leaves_something_behind(unfit: Unfit, what: str) -> None:
    """Where a fork would lack or share what an import leaves, each instance imports it itself; why is told once."""
    assert unfit.own[what] == [True] * 3
    told = [line for line in unfit.told.splitlines() if f"importing {unfit.names[what]} " in line]
    assert len(told) == 1
    assert LEAVES[what][1] in told[0]


@pytest.mark.parametrize("what", NAMED)
@pytest.mark.parametrize("kind", ["a name", "a module"])
def test_a_name_of_such_a_module(unfit: Unfit, what: str, kind: str) -> None:
    """`from x import y` is left to the instances like `import x`, be `y` a name in `x` or a module of its own."""
    case = f"{kind}: {what}"
    assert unfit.own[case] == [True] * 3
    blamed = unfit.names[case] + (".part" if kind == "a module" else "")
    assert unfit.told.count(f"importing {blamed} ") == 1


def test_what_every_worker_has_is_not_asked_for() -> None:
    """Flows that differ in that alone have workers in common; all of it is there before a flow asks."""
    first = imports_ahead(["os", "pathlib:Path", "ductaflow:save_results", "networkx"], [])
    second = imports_ahead(["sys", "ductaflow:project_path", "ductaflow:save_results", "networkx"], [])
    assert first == second == Ahead(("ductaflow", "networkx"), whole=True)
    text = "import sys; from ductaflow_runtime.worker.preload import *; preload_runtime(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) >= EVERYWHERE


def test_a_verdict_that_does_not_help(tmp_path: Path) -> None:
    """What makes a worker unfit although it was told to leave that alone costs the job its imports ahead."""
    job = Job(root="", runs_dir="", flow="", step="", name="", config={}, preload=["first", "second"], learns=True)
    verdicts = Verdicts(tmp_path / "known.json")
    sent = verdicts.applied(job)
    verdicts.add("first", "warns")
    once = without_imports(job, sent, "first")
    sent = verdicts.applied(once)
    assert sent.preload == ["second"]
    twice = without_imports(once, sent, "first")
    assert (twice.preload, twice.learns) == ([], False)


def test_what_cannot_be_seen(project: Project, install: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """MPI belongs to the process that started it, which nothing in the process shows."""
    install(name="mpi4py")
    project.flow(f"# %%\nimport mpi4py as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [True] * 3
    assert capsys.readouterr().err.count("importing mpi4py starts MPI") == 1


def test_what_a_library_opens_anew(
    project: Project, install: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """PROJ has its database open, and opens it anew in a fork: geopandas is imported once."""
    database = tmp_path_factory.mktemp("share") / "proj.db"
    database.touch()
    name = install(f"kept = open({str(database)!r})\n{PACKAGE}")
    project.flow(f"# %%\nimport {name} as tiny{SAVES}")
    assert sweep()["result.own"].tolist() == [False] * 3


READS = (
    "from pathlib import Path\nVALUE, OWN = '', __import__('os').getpid()\n"
    "for folder in Path.cwd().parents:\n    if (folder / 'tiny.toml').is_file():\n"
    "        VALUE = (folder / 'tiny.toml').read_text()\n"
)
ASKS = (
    "OWN = __import__('os').getpid()\ntry:\n    from local_settings import VALUE\nexcept ImportError:\n    VALUE = ''\n"
)
LOOKS = {
    "a file": (READS, "tiny.toml", "one", "two!", "reads tiny.toml of the project"),
    "a module": (ASKS, "local_settings.py", "VALUE = 'one'\n", "VALUE = 'two!'\n", "imports local_settings, which"),
}


@pytest.mark.parametrize("case", LOOKS)
def test_what_a_package_reads_of_the_project_is_an_input(
    project: Project, install: Callable[..., str], capfd: pytest.CaptureFixture[str], case: str
) -> None:
    """Such a package is imported by each instance itself, which sees what is there now, and runs again for it."""
    text, file, first, second, reason = LOOKS[case]
    name = install(text)
    project.write(file, first)
    project.flow(
        f"import os\nimport {name}\nfrom ductaflow import save_results\n"
        f"save_results(value={name}.VALUE, own={name}.OWN == os.getpid(), n=config['n'])\n"
    )
    frame = pd.DataFrame({"n": [1, 2]})
    results = run_instances(frame, "flow/step.py")
    assert results["result.value"].tolist() == ["one"] * 2
    assert results["result.own"].all()
    assert reason in capfd.readouterr().err
    project.write(file, second)
    again = run_instances(frame, "flow/step.py")
    assert again["result.value"].tolist() == ["two!"] * 2
    assert again["reason"].str.contains(file).all()

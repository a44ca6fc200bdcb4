"""What counts as read: reads on behalf of a flow, results kept elsewhere, modules, and where environments may lie."""

from __future__ import annotations

import os
import py_compile
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from ductaflow import plan_instances, run_instances
from ductaflow_runtime.staleness.imports import installed_folders, local_modules
from ductaflow_runtime.staleness.tracking import Tracker
from ductaflow_runtime.worker.preload import Preloader
from tests.conftest import Project
from tests.staleness.sample import write_data

ONE = pd.DataFrame({"instance_name": ["one"]})


def run(name: str = "step", force: bool = False) -> dict[str, object]:
    """Run the flow's one instance, which must succeed."""
    row = run_instances(ONE, f"flow/{name}.py", on_error="continue", force=force).iloc[0]
    assert row["error"] is None
    return row.to_dict()


def plan(name: str = "step") -> str | None:
    """Why the flow's one instance would run."""
    return plan_instances(ONE, f"flow/{name}.py")["reason"].tolist()[0]


def changes_are_seen(project: Project, body: str, change: Callable[[], object], reason: str) -> None:
    """The flow is up to date after a run, and is not after the change."""
    project.flow(body)
    run()
    assert plan() is None
    change()
    assert plan() == reason


LISTED = " (its list of files)"
# How a flow asks, with files of its own in `folder`: what is changed, and what the reason says after the folder.
WAYS_TO_READ = {
    "get_data": ("import pkgutil\npkgutil.get_data(NAME, 'table.txt')", "table.txt", "table.txt"),
    "get_data of code": ("pkgutil.get_data(NAME, 'template.py')", "template.py", "template.py"),
    "iter_modules": ("list(pkgutil.iter_modules([str(folder)]))", "new.py", LISTED),
    "iter_modules of a folder to import from": (
        "import sys\nsys.path.insert(0, str(folder))\nlist(pkgutil.iter_modules([str(folder)]))",
        "new.py",
        LISTED,
    ),
    "own module called inspect": ("from lib import inspect\ninspect.look(folder)", "new.py", LISTED),
    "own module reads code": ("inspect.read(folder / 'a.py')", "a.py", "a.py"),
    "code under another name": (
        "from importlib.machinery import SourceFileLoader\nfrom types import ModuleType\n"
        "SourceFileLoader('conf', str(folder / 'conf.txt')).exec_module(ModuleType('conf'))",
        "conf.txt",
        "conf.txt",
    ),
}
OF_DESCRIPTORS = {
    "fwalk": ("import os\nlist(os.fwalk(folder))", "new.py", LISTED),
    "listdir of a descriptor": ("os.listdir(os.open(folder, os.O_RDONLY))", "new.py", LISTED),
}
if os.path.isdir("/proc/self/fd"):
    WAYS_TO_READ |= OF_DESCRIPTORS


@pytest.mark.engines("fork", "spawn", "kernel")
def test_reads_that_the_flow_asks_for(project: Project) -> None:
    """What the import system or a module of any name reads on behalf of the flow is an input."""
    project.write("lib/__init__.py", "")
    project.write("lib/inspect.py", "import os\nlook = os.listdir\n\n\ndef read(path):\n    return open(path).read()\n")
    body = "from pathlib import Path\nroot = Path.cwd().parents[2]\n"
    for number, (code, _, _) in enumerate(WAYS_TO_READ.values()):
        for file in ("__init__.py", "table.txt", "template.py", "conf.txt", "a.py"):
            project.write(f"read{number}/{file}", "A = 1\n")
        body += f"\n# %%\nNAME = 'read{number}'\nfolder = root / NAME\n{code}\n"
    project.flow(body)
    run()
    assert plan() is None
    for number, (way, (_, changed, told)) in enumerate(WAYS_TO_READ.items()):
        path = project.root / f"read{number}" / changed
        before = path.read_text() if path.exists() else None
        path.write_text("A = 22\n")
        assert plan() == f"input: read{number}/{told}", way
        path.unlink() if before is None else path.write_text(before)
        assert plan() is None, way


UPSTREAM = """
import ductaflow
from pathlib import Path
text = ductaflow.project_path("data.txt").read_text()
for way in ("relative", "whole", "instance_path"):
    Path(way + ".txt").write_text(text)
ductaflow.save_results(text=text)
"""
# Each way reads something of its own.
DOWNSTREAM = """
import ductaflow
from pathlib import Path
name = "one"
open("../../up/" + name + "/relative.txt").read()
open(Path.cwd().parents[1] / "up" / name / "whole.txt").read()
ductaflow.instance_path("up", name, "instance_path.txt").read_text()
ductaflow.load_results("up")
list((Path.cwd().parents[1] / "up" / name).glob("*.txt"))
open("own.txt", "w").close()
open("own.txt").close()
open(Path.cwd() / "own.txt").close()
"""


def reasons() -> list[str]:
    """Why the flow's one instance would run, cause by cause."""
    return (plan() or "").split("; ")


def kept_elsewhere(project: Project, tmp_path: Path, where: str) -> None:
    """What is read of the results of another instance counts, whichever way it is read."""
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()
    if where == "link":
        (project.root / "runs").symlink_to(elsewhere)
    else:
        project.settings(runs_dir=str(elsewhere))
    project.write("data.txt", "1")
    project.flow(UPSTREAM, "flow/up.py")
    project.flow(DOWNSTREAM)
    run("up")
    run()
    assert plan() is None
    project.write("data.txt", "22")
    run("up")
    folder = f"{'runs' if where == 'link' else elsewhere.as_posix()}/up/one"
    read = [f"input: {folder}/{name}" for name in ("instance_path.txt", "relative.txt", "run.json", "whole.txt")]
    assert sorted(reasons()) == read, "its list of files is the same"
    (elsewhere / "up/one/more.txt").touch()
    assert sorted(reasons()) == [f"input: {folder}/ (its list of files)", *read]
    run()
    assert plan() is None


@pytest.mark.parametrize("where", ["link", "outside"])
def test_results_that_are_kept_elsewhere(project: Project, tmp_path: Path, where: str) -> None:
    """Another instance's output is an input also where `runs` is a link, or another folder than the project's."""
    kept_elsewhere(project, tmp_path, where)


@pytest.mark.engines("spawn", "kernel")
def test_results_that_are_kept_elsewhere_on_other_engines(project: Project, tmp_path: Path) -> None:
    """So it is, whatever executed the flows."""
    kept_elsewhere(project, tmp_path, "link")


READER = """
import pyarrow.parquet
TABLES = {"a": ["../../../data/links.parquet", "pyproject.toml"]}


def load():
    return pyarrow.parquet.read_table(TABLES["a"][0])
"""


# What an execution reads and imports in one flow: each cell something else.
MANY = """
# %% What Python reads for itself
import importlib.metadata, traceback
importlib.metadata.version("pandas")
from lib.costs import cost
try:
    cost()
except ZeroDivisionError:
    assert "1 / 0" in traceback.format_exc()

# %% Modules that are no source files, and one that the flow has made in its own folder
import sys
import rates
{compiled}
open("made.py", "w").write("V = 1")
sys.path.insert(0, ".")
import made

# %% Paths in modules
from lib.tables import load
from lib.text import save as save_text
from lib.table import save as save_table
load()
save_text()
save_table()

# %% A database
import sqlite3
from pathlib import Path
connection = sqlite3.connect(Path.cwd().parents[2] / ("rows" + ".db"))
connection.execute("select * from t").fetchall()
connection.close()
"""


def seen_and_undone(path: Path, change: Callable[[], object], reason: str) -> None:
    """The change of a file is the one reason, and none is left when it is as it was."""
    before = path.read_bytes()
    change()
    assert plan() == reason
    path.write_bytes(before)
    assert plan() is None, reason


@pytest.mark.engines("fork", "spawn", "kernel")
def test_what_counts_on_every_engine(project: Project) -> None:
    """Compiled modules, and one without its source; what native code reads where a module names it; waiting rows.

    What imports, versions of packages and tracebacks list and read is no input, nor what the flow itself has written,
    though a module names it or it is a module. In SQLite's WAL mode new rows are in the `-wal` file, until some program
    moves them into the database.
    """
    root = project.root
    compiled = sorted(Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("_testimportmultiple.*"))[:1]
    for each in compiled:  # not every Python comes with one to copy
        shutil.copy(each, root)
    project.write("lib/costs.py", "def cost():\n    return 1 / 0\n")
    source, without_source = project.write("rates.py", "RATE = 1\n"), root / "rates.pyc"
    py_compile.compile(str(source), str(without_source))
    source.unlink()
    links = root / "data/links.parquet"
    write_data(links, [1])
    project.write("lib/tables.py", READER)
    for name, write in (
        ("text", "open(TABLE, 'w').write('x')"),
        ("table", "pyarrow.parquet.write_table(EMPTY, TABLE)"),
    ):
        text = "import pyarrow.parquet\nEMPTY = pyarrow.table({'v': [1]})\n" + f"TABLE = '../../../{name}.parquet'\n"
        project.write(f"lib/{name}.py", f"{text}\n\ndef save():\n    {write}\n")
    writer = sqlite3.connect(root / "rows.db")
    for line in ("pragma journal_mode = wal", "create table t (v)", "insert into t values (1)"):
        writer.execute(line)
    writer.commit()
    project.flow(MANY.format(compiled="import _testimportmultiple" if compiled else ""))
    run()
    assert plan() is None
    assert [(root / f"{name}.parquet").is_file() for name in ("text", "table")] == [True] * 2
    fingerprint = project.record("step", "one")["fingerprint"]
    assert set(fingerprint["inputs"]) == {"data/links.parquet", "rows.db", "rows.db-wal"}
    own = {"rates.pyc", *(f"lib/{name}.py" for name in ("costs", "tables", "text", "table"))}
    assert set(fingerprint["modules"]) == own | {each.name for each in compiled}

    def recompile() -> None:
        source.write_text("RATE = 22\n")
        py_compile.compile(str(source), str(without_source))
        source.unlink()

    if compiled:
        copy = root / compiled[0].name
        seen_and_undone(copy, lambda: copy.write_bytes(copy.read_bytes() + b"more"), f"module: {copy.name}")
    seen_and_undone(without_source, recompile, "module: rates.pyc")
    seen_and_undone(links, lambda: write_data(links, [2]), "input: data/links.parquet")

    writer.execute("insert into t values (2)")
    writer.commit()
    assert plan() == "input: rows.db-wal"
    writer.execute("pragma wal_checkpoint(truncate)")
    (root / "table.parquet").unlink()  # of one that is there already, native code is not seen to write it
    run()
    writer.close()
    assert plan() is None, "an empty file that is gone when nobody has the database open"
    project.settings(workers=1)
    assert plan() is None, "a module names pyproject.toml, which lies beside what it reads"


def test_a_path_in_a_module_that_is_imported_early(project: Project) -> None:
    """The same for a script, whose imports may come before `load_cli_config`."""
    write_data(project.root / "data/links.parquet", [1])
    project.write("lib/tables.py", READER)
    flow = project.flow("load()")
    flow.write_text(flow.read_text().replace("config = {}", "config = {}\nfrom lib.tables import load"))
    project.write("config/base.json", "{}")
    folder = project.root / "runs/step/one"
    environment = {**os.environ, "PYTHONPATH": str(project.root)}
    subprocess.run([sys.executable, str(flow), "--output-dir", str(folder)], env=environment, check=True)
    assert plan() is None
    write_data(project.root / "data/links.parquet", [2])
    assert plan() == "input: data/links.parquet"
    run()
    write_data(project.root / "data/links.parquet", [3])
    assert plan() == "input: data/links.parquet"


def test_a_file_with_the_same_size_and_time(project: Project) -> None:
    """Nobody looks into a file of the same size and time; when it is touched, its content counts."""
    path = project.write("data.txt", "1")
    os.utime(path, (1e9, 1e9))
    project.flow("from ductaflow import project_path\nproject_path('data.txt').read_text()")
    run()
    path.write_text("2")
    os.utime(path, (1e9, 1e9))
    assert plan() is None
    path.touch()
    assert plan() == "input: data.txt"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Pretends that Python is installed in other folders."""

    def pretend(**prefixes: Path) -> None:
        for name, folder in prefixes.items():
            monkeypatch.setattr(sys, name, str(folder))
        installed_folders.cache_clear()

    yield pretend
    monkeypatch.undo()
    installed_folders.cache_clear()


def counts(root: Path, name: str) -> bool:
    """Whether a file of a project counts when it is read."""
    return Tracker(root=str(root), own=str(root / "runs/step/one")).place(root / name) == str(root / name)


@pytest.mark.parametrize("above", ["", "..", "../.."])
def test_a_project_in_an_environment(tmp_path: Path, elsewhere: Callable[..., None], above: str) -> None:
    """A project that is an environment's folder, or lies in one, is tracked; the packages in it are not."""
    root = tmp_path / "a" / "project"
    folder = Path(os.path.normpath(root / above))
    elsewhere(prefix=folder, base_prefix=folder)
    assert counts(root, "data/links.csv")
    assert counts(root, "lib/costs.py")
    assert not counts(root, "lib/python3.11/site-packages/numpy/version.txt")
    assert not counts(root, "lib/python3/dist-packages/numpy/version.txt")


def test_an_environment_in_a_project(tmp_path: Path, elsewhere: Callable[..., None]) -> None:
    """Nothing in an environment's folder below the project counts."""
    elsewhere(prefix=tmp_path / "env", base_prefix=tmp_path / "python")
    assert not counts(tmp_path, "env/share/proj/proj.db")
    assert not counts(tmp_path, "python/lib/x.txt")
    assert counts(tmp_path, "data/links.csv")


def test_modules_of_a_project_in_an_environment(
    tmp_path: Path, elsewhere: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's modules are told from the packages beside them."""
    elsewhere(prefix=tmp_path, base_prefix=tmp_path)
    for name, file in (("tiny_costs", "costs.py"), ("tiny_package", "lib/python3/site-packages/tiny_package.py")):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / file)
        monkeypatch.setitem(sys.modules, name, module)
    assert local_modules(str(tmp_path)) == {str(tmp_path / "costs.py"): "tiny_costs"}


def test_a_project_among_devices() -> None:
    """A project in the memory file system is tracked; devices and what the kernel tells are no inputs."""
    root = Path("/dev/shm/project")
    assert counts(root, "data/links.csv")
    tracker = Tracker(root="/home/somebody/project", own="/home/somebody/project/runs/a/b", runs_dir="/dev/shm/runs")
    assert tracker.place("/dev/shm/runs/up/a/out.csv")
    assert tracker.place("/dev/shm/table.csv", anywhere=True)
    assert [tracker.place(path, anywhere=True) for path in ("/proc/cpuinfo", "/sys/x", "/dev/fd/1")] == [None] * 3


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_module_that_has_the_name_of_a_package(project: Project) -> None:
    """The project's own module comes first on every engine, also in a worker that has loaded the package before."""
    project.flow("from ductaflow import save_results\nimport networkx\nsave_results(own=hasattr(networkx, 'OWN'))")
    assert run()["result.own"] is False
    project.write("networkx.py", "OWN = True\n")
    assert run(force=True)["result.own"] is True
    assert list(project.record("step", "one")["fingerprint"]["modules"]) == ["networkx.py"]
    assert project.record("step", "one")["fingerprint"]["packages"] == {}
    (project.root / "networkx.py").unlink()
    project.write("flow/networkx/__init__.py", "OWN = True\n")
    assert run(force=True)["result.own"] is True


def test_a_loaded_package_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a preloaded package has imported itself is forgotten if the project has a module of that name."""
    preloader = Preloader()
    preloader.preload([])
    for name in ("tiny_shadowed", "tiny_shadowed.part", "tiny_folder", "tiny_other"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    (tmp_path / "tiny_shadowed.py").touch()
    (tmp_path / "tiny_folder").mkdir()
    preloader.preload(["json"], folders=[tmp_path, tmp_path / "none"])
    assert [name for name in sys.modules if name.startswith("tiny_")] == ["tiny_folder", "tiny_other"]


def test_a_package_imported_by_a_call(project: Project) -> None:
    """`importlib.import_module` with a name that is written out is an import like any other, in modules too."""
    project.write("lib/late.py", "from importlib import import_module\n\nimport_module('psutil')\n")
    project.flow(
        "import importlib\nimport lib.late\nimportlib.import_module('networkx.algorithms')\n__import__('yaml')"
    )
    run()
    assert {"networkx", "psutil", "PyYAML"} <= {*project.record("step", "one")["fingerprint"]["packages"]}


# What a flow leaves to a thread, once it has got hold of the folder `data`; the result is read by it.
THREADS = {
    "at the end": "threading.Thread(target=work).start()",
    "of a pool": "ThreadPoolExecutor(1).submit(work)",
    "that exit handlers start": "atexit.register(work)",
    "between cells": "threading.Thread(target=work, kwargs={'wait': lambda: between.wait(9)}, daemon=True).start()\n"
    "\n# %%\ndone.wait(9)",
}


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize("case", THREADS)
def test_what_threads_read(project: Project, case: str) -> None:
    """What a thread of the flow reads, saves and writes counts as long as it is waited for, after the last cell too."""
    body = """
        import atexit, threading, time
        from concurrent.futures import ThreadPoolExecutor
        from ductaflow import project_path, save_results
        data = project_path("data")
        between, done = threading.Event(), threading.Event()
        try:  # set when this cell is over
            get_ipython().events.register("post_run_cell", lambda result: between.set())
        except NameError:
            pass

        def work(wait=lambda: time.sleep(0.3)):
            wait()
            length = (data / ("x" + ".csv")).read_text()
            save_results(length=int(length))
            open("copy.txt", "w").write(length)
            done.set()
        """
    project.write("data/x.csv", "1")
    project.flow(textwrap.dedent(body) + THREADS[case])
    assert run()["result.length"] == 1
    assert list(project.record("step", "one")["fingerprint"]["inputs"]) == ["data/x.csv"]
    assert plan() is None
    project.write("data/x.csv", "500")
    assert plan() == "input: data/x.csv"
    assert run()["result.length"] == 500
    assert plan() is None


# How a flow gets at `data/base/x.csv` through a link in its own folder: what it does first, and then.
LINKS = {
    "a folder": ("os.symlink(base, 'inputs')", "open('inputs/x.csv').read()"),
    "a folder, deeper": ("os.mkdir('in')\nos.symlink(base, 'in/base')", "open(Path.cwd() / 'in/base/x.csv').read()"),
    "a link to a link": ("os.symlink(base, 'first')\nos.symlink('first', 'inputs')", "open('inputs/x.csv').read()"),
    "another program's": ("subprocess.run(['ln', '-s', base, 'inputs'])", "open('inputs/x.csv').read()"),
    "one that was not there": ("os.path.exists('inputs/x.csv')\ntry:\n    open('inputs/x.csv')\nexcept OSError:\n    "
        "os.symlink(base, 'inputs')", "open('inputs/x.csv').read()"),
    "of native code": ("os.symlink(base, 'inputs')", "sqlite3.connect('inputs/x.csv')\nopen('inputs/x.csv').read()"),
}  # fmt: skip


@pytest.mark.engines("fork", "spawn", "kernel")
@pytest.mark.parametrize("case", LINKS)
def test_what_is_read_through_a_link_in_the_instances_folder(project: Project, case: str) -> None:
    """It is the file that the link leads to, and an input like any other."""
    link, read = LINKS[case]
    project.write("data/base/x.csv", "1")
    body = "import os, sqlite3, subprocess\nfrom pathlib import Path\nbase = Path.cwd().parents[2] / 'data/base'\n"
    changes_are_seen(
        project, f"{body}{link}\n{read}", lambda: project.write("data/base/x.csv", "500"), "input: data/base/x.csv"
    )


def test_a_linked_file(project: Project) -> None:
    """A single file that is linked is an output as well, for its content is."""
    project.write("data/x.csv", "1")
    body = "import os\nos.symlink('../../../data/x.csv', 'x.csv')\nopen('x.csv').read()"
    reason = "input: data/x.csv; output changed: x.csv"
    changes_are_seen(project, body, lambda: project.write("data/x.csv", "500"), reason)


def test_a_linked_folder_that_is_listed(project: Project) -> None:
    """The names in a linked folder count, as do the files that a person has linked into the instance's folder."""
    project.write("data/base/x.csv", "1")
    folder = project.root / "runs/step/one"
    folder.mkdir(parents=True)
    (folder / "inputs").symlink_to("../../../data/base")
    body = "import os\nfor name in os.listdir('inputs'):\n    open(f'inputs/{name}').read()"
    changes_are_seen(project, body, lambda: project.write("data/base/y.csv", "2"), f"input: data/base/{LISTED}")
    run()
    project.write("data/base/y.csv", "3")
    assert plan() == "input: data/base/y.csv"


def test_what_is_written_through_a_link(project: Project) -> None:
    """What a flow writes itself is no input, neither through a link out of its folder nor through one within."""
    project.write("out/keep", "")
    body = """
        import os
        os.symlink("../../../out", "out")
        open("out/x.csv", "w").write("1")
        open("out/x.csv").read()
        os.mkdir("own")
        os.symlink("own", "link")
        open("own/y.csv", "w").write("1")
        open("link/y.csv").read()
        """
    project.flow(body)
    run()
    assert project.record("step", "one")["fingerprint"]["inputs"] == {}
    assert plan() is None


def test_what_comes_after_shared_cells_found_it_absent(tmp_path: Path) -> None:
    """A file that comes between the shared cells and an instance counts as absent, unless the instance writes it."""
    own = tmp_path / "runs/step/one"
    named, read, written = (str(tmp_path / f"{name}.csv") for name in ("named", "read", "written"))
    before = Tracker(root=str(tmp_path), own=str(tmp_path / "scratch"), runs_dir=str(tmp_path / "runs"))
    before.name_all(["named.csv", "read.csv", "written.csv"])
    tracker = Tracker(root=str(tmp_path), own=str(own), runs_dir=str(tmp_path / "runs"))
    tracker.go_on_without(before.places_of(before.absent), frozenset())
    tracker.name_all(["read.csv"])
    for path in (named, read, written):
        Path(path).write_text("x")
    tracker.name_all(["named.csv", "written.csv"])
    tracker.note_reading(read)
    tracker.note_writing(written, os.O_WRONLY | os.O_TRUNC)
    assert tracker.files == {named: None, read: None}

"""The runtime's names in an instance's folder, taken by something else: a clear message, and nobody waits for ever."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import load_results, run_instances
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.runs.instance import LOG_NAME
from tests.conftest import Project

NAMES = ["run.json", "config.json", LOG_NAME, "step.ipynb"]
LIMIT_S = 60
ENDLESS = ["/dev/zero", "/dev/tty", "/proc/kmsg", "/proc/self/mem"]
PUT = """\
import os, socket

def put(kind, name):
    if os.path.lexists(name):
        os.unlink(name)
    if kind == "folder":
        os.mkdir(name)
        open(os.path.join(name, "mine.txt"), "w").close()
    elif kind == "pipe":
        os.mkfifo(name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    else:
        os.symlink({"link": "../../../elsewhere.txt", "endless": "/dev/zero"}[kind], name)
"""
KINDS = ["folder", "pipe", "socket", "link", "endless"]


def put(kind: str, path: Path) -> None:
    """Put something of this kind in the place of a file."""
    names: dict[str, Callable[[str, str], None]] = {}
    exec(PUT, names)
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may not be long
    try:
        names["put"](kind, path.name)
    finally:
        os.chdir(here)


def rows(count: int = 5) -> pd.DataFrame:
    """A control dataframe of so many rows."""
    return pd.DataFrame({"instance_name": [f"r{number}" for number in range(count)], "n": range(count)})


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """Whatever waits for somebody who never comes is an error after a minute."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def read_all(project: Project) -> None:
    """All that reads what is in `runs/`."""
    for command in (["status"], ["report"], ["plan", "flow/step.py", "--set", "n=1", "--name", "r1"]):
        done = CliRunner().invoke(main, command)
        assert not done.exception or isinstance(done.exception, SystemExit), done.output
    CliRunner().invoke(main, ["debug", "runs/step/r1"])
    assert load_results("step")["instance_name"].tolist()[:2] == ["r0", "r1"]


@pytest.mark.parametrize("kind", KINDS)
def test_taken_by_the_flow(project: Project, kind: str) -> None:
    """The instance is failed, and says what was where; the other row is done, and nothing outside is written to."""
    outside = project.write("elsewhere.txt", "mine")
    project.flow(PUT + f"\nif config['n']:\n    put('{kind}', {['', *NAMES]}[config['n']])\n")
    frame = run_instances(rows(), "flow/step.py", on_error="continue")
    assert frame["status"].tolist() == ["done", "failed", "failed", "failed", "failed"]
    for number, name in enumerate(NAMES, 1):
        error = project.record("step", f"r{number}")["error"]
        assert error["type"] == "NamesTaken"
        assert f"{name} (" in error["message"]
        folder = project.root / "runs" / "step" / f"r{number}"
        assert all((folder / each).is_file() and not (folder / each).is_symlink() for each in NAMES if each != LOG_NAME)
    assert outside.read_text() == "mine"
    kept = list((project.root / "runs" / ".ductaflow" / "edited").rglob("mine.txt"))
    assert len(kept) == (len(NAMES) if kind == "folder" else 0)
    read_all(project)
    project.flow("print('mended', config['n'])")
    assert run_instances(rows(), "flow/step.py")["status"].tolist() == ["done"] * 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", [False, True], ids=["new", "executed"])
def test_taken_by_a_person(project: Project, kind: str, first: bool) -> None:
    """What only reads does not wait for it; an execution moves it away, but for a folder in the place of the record."""
    outside = project.write("elsewhere.txt", "mine")
    project.flow("print('well', config['n'])")
    if first:
        run_instances(rows(), "flow/step.py")
    places = [project.root / "runs" / "step" / f"r{number}" / name for number, name in enumerate(NAMES, 1)]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        put(kind, place)
    if first:
        read_all(project)
    project.flow("print('better', config['n'])")
    frame = run_instances(rows(), "flow/step.py", on_error="continue")
    stays = kind == "folder"
    assert frame["status"].tolist() == ["done", "failed" if stays else "done", "done", "done", "done"]
    if stays:
        assert "move it away" in frame["error"][1]
    assert all(place.is_file() and not place.is_symlink() for place in places[stays:])
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("shutil.rmtree(here)", "the instance's folder was removed while"),
        ("shutil.rmtree(here); os.mkdir(here)", "removed and another put in its place"),
        ("shutil.rmtree(here); os.symlink(other, here)", "removed and another put in its place"),
        ("shutil.rmtree(here); open(here, 'w').close()", "removed and another put in its place"),
    ],
)
def test_a_folder_that_the_flow_takes_away(project: Project, body: str, wanted: str) -> None:
    """The record says so, in a folder of its own, with the config in it; nothing is written where a link leads."""
    other = project.root / "other"
    other.mkdir()
    project.flow(f"import os, shutil\nhere, other = os.getcwd(), {str(other)!r}\nif config['n'] == 1:\n    {body}\n")
    frame = run_instances(rows(3), "flow/step.py", on_error="continue")
    assert frame["status"].tolist() == ["done", "failed", "done"]
    assert wanted in project.record("step", "r1")["error"]["message"]
    folder = project.root / "runs" / "step" / "r1"
    assert not folder.is_symlink()
    assert (folder / "config.json").is_file()
    assert list(other.iterdir()) == []


def test_links_without_end(project: Project) -> None:
    """Outputs that lead to endless devices, and pipes, are no files: nobody reads them."""
    links = "".join(f"os.symlink('{each}', 'link{number}')\n" for number, each in enumerate(ENDLESS))
    project.flow(f"import os\n{links}os.mkfifo('pipe')\nopen('out.txt', 'w').close()\nprint(config['n'])")
    assert run_instances(rows(1), "flow/step.py")["status"].tolist() == ["done"]
    assert set(project.record("step", "r0")["outputs"]) - {f"link{number}" for number in range(4)} == {"out.txt"}


@pytest.mark.parametrize("kind", ["pipe", "socket", "endless"])
@pytest.mark.parametrize("name", ["index.html", ".ductaflow/control/step.json", ".ductaflow/instances.lock"])
def test_taken_in_the_folder_of_results(project: Project, name: str, kind: str) -> None:
    """What belongs to no instance is made anew, or done without."""
    project.flow("print('well', config['n'])")
    run_instances(rows(2), "flow/step.py")
    path = project.root / "runs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    put(kind, path)
    read_all(project)
    project.flow("print('better', config['n'])")
    assert run_instances(rows(2), "flow/step.py")["status"].tolist() == ["done", "done"]


def test_an_instance_that_is_no_folder(project: Project) -> None:
    """Its row says so, and the others are done."""
    project.flow("print('well', config['n'])")
    step = project.root / "runs" / "step"
    step.mkdir(parents=True)
    os.mkfifo(step / "r1")
    frame = run_instances(rows(2), "flow/step.py", on_error="continue")
    assert frame["status"].tolist() == ["done", "failed"]
    assert "is no folder, nor can one be made there" in frame["error"][1]


@pytest.mark.parametrize("name", ["", "/previous", "/previous/step"])
def test_a_pipe_where_a_folder_is_needed(project: Project, name: str) -> None:
    """The row says what is in the way; without it, the next run executes it."""
    project.flow("print('well', config['n'])")
    run_instances(rows(1), "flow/step.py")
    place = project.root / "runs" / f".ductaflow{name}"
    if place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)
    project.flow("print('better', config['n'])")
    frame = run_instances(rows(1), "flow/step.py", on_error="continue")
    assert frame["status"].tolist() == ["failed"]
    assert "is no folder, nor can one be made there: move away what is in its place" in frame["error"][0]
    place.unlink()
    assert run_instances(rows(1), "flow/step.py")["status"].tolist() == ["done"]

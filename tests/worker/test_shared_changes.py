"""What shared cells have read or imported is as it is now, in whatever is executed, or the instances run again."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sysconfig
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import HEAD, Project
from tests.worker.shared_cells import SAVES, TOKEN, sweep, tokens, write

pytestmark = pytest.mark.usefixtures("steady_packages")


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


def test_another_version_of_a_package(
    project: Project, install: Callable[..., str], changes: Callable[[int], AbstractContextManager[None]]
) -> None:
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
        with changes(fcntl.LOCK_EX):  # another test's installation would have them executed once more
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
    assert sweep(1)["result.text"].tolist() == [""]
    project.write("data/more.csv", "here")
    frame = sweep(2)
    assert frame["result.text"].tolist()[1] == "here"
    if engine == "fork" and case != "in a module":
        assert frame["reason"].tolist() == ["input: data/more.csv (was not there)", "new"]
    assert sweep(2)["status"].eq("up to date").all()
    project.write("data/more.csv", "there")
    assert sweep(2)["result.text"].tolist()[1] == "there"

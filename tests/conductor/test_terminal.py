"""Whoever watches a sweep may go away, and is told nothing but text."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import InstancesFailed, run_instances
from ductaflow_runtime.errors import shown
from tests.conftest import Project
from tests.waiting import LAST_CHANCE_S, wait_for

CONDUCTOR = """
import pandas as pd
from ductaflow import run_instances

frame = run_instances(pd.DataFrame({"n": range(4)}), "flow/step.py", on_error="continue", workers=1)
open("counts.txt", "w").write(repr(frame["status"].tolist()))
"""


@pytest.mark.parametrize(
    "where",
    ["2>&1 | head -n 1", "2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"],
    ids=["gone", "full", "closed", "both closed", "all closed"],
)
def test_a_line_costs_no_instance(project: Project, where: str) -> None:
    """Nobody reads the progress: all rows are executed, and the conductor goes on."""
    project.flow("print(config['n'])\nif config['n'] == 2: raise ValueError('two')")
    project.write("conductor.py", CONDUCTOR)
    command = f"( {sys.executable} conductor.py; echo $? >code.txt ) {where}"
    subprocess.run(["bash", "-c", command], cwd=project.root, timeout=LAST_CHANCE_S, check=False, capture_output=True)
    assert (project.root / "counts.txt").read_text() == "['done', 'done', 'failed', 'done']"
    assert (project.root / "code.txt").read_text() == "0\n"


@pytest.mark.parametrize("command", ["status", "report", "plan flow/step.py --set n=1"])
def test_a_command_that_cannot_say_it(project: Project, command: str) -> None:
    """A full disk behind the output is one line and an exit code."""
    project.write("config/base.json", "{}")
    project.flow("print(config['n'])")
    run_instances(pd.DataFrame({"n": [1]}), "flow/step.py")
    program = Path(sys.executable).with_name("ductaflow")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [program, *command.split()], cwd=project.root, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "ductaflow: No space left on device\n")


def test_a_terminal_is_told_text_only(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """What recolours, clears or retitles a terminal is shown as what it is, in names, reasons, errors and outputs."""
    project.flow(
        """
        open("out\\x1b[31m.txt", "w").close()
        if config["n"] == 1:
            raise type("Odd\\x1b]0;title\\x07", (Exception,), {})("clear\\x1b[2J \\x9b31m")
        """
    )
    frame = pd.DataFrame({"instance_name": ["a", "b"], "n": [1, 2], "t": ["\x1b[31mred", "x"]})
    project.settings(unknown_keys="ignore")
    with pytest.raises(InstancesFailed) as failed:
        run_instances(frame, "flow/step.py")
    assert "\\x1b]0;title\\x07" in str(failed.value)
    (project.root / "runs" / "step" / "b" / "out\x1b[31m.txt").unlink()
    run_instances(frame.assign(t=["\x1b[32mgreen", "x"]), "flow/step.py", on_error="continue")
    program = Path(sys.executable).with_name("ductaflow")
    status = subprocess.run([program, "status"], cwd=project.root, capture_output=True, text=True, check=True).stdout
    said = f"{failed.value}{capfd.readouterr().err}{status}"
    assert [character for character in said if not character.isprintable() and character not in "\n\t"] == []
    assert "output missing: out\\x1b[31m.txt" in said


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07\x9b2J\x7f", "\\x1b[31mred\\x07\\x9b2J\\x7f"),
        ("Zürich 東京 \U0001f30d", "Zürich 東京 \U0001f30d"),
        ("half \ud800", "half \\ud800"),
        ("exe.\u202etxt", "exe.\\u202etxt"),
    ],
)
def test_what_is_shown_of_a_text(given: str, wanted: str) -> None:
    """Every letter as it is, every code by its number."""
    assert shown(given) == wanted


@pytest.mark.parametrize("mask", [0o077, 0o027, 0o002])
def test_files_are_as_readable_as_the_user_wants(project: Project, mask: int) -> None:
    """All that is written under `runs/` obeys the umask: nobody else reads what should not be read, and a group may."""
    project.flow("open('out.txt', 'w').close()\nprint(config['n'])")
    text = "from ductaflow import run_instances\nimport pandas as pd\n"
    text += "run_instances(pd.DataFrame({'n': [1]}), 'flow/step.py')\n"
    subprocess.run([sys.executable, "-c", text], cwd=project.root, umask=mask, check=True, capture_output=True)
    for path in (project.root / "runs").rglob("*"):
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        assert os.stat(path).st_mode & 0o777 == wanted, path


@pytest.mark.slow
def test_a_terminal_that_closes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was running is interrupted, and the next run executes it with the rest."""
    project.flow(
        """
        import os, time
        print(config["n"])
        open("begun", "w").close()
        time.sleep(0 if "GO" in os.environ else 600)
        """
    )
    script = project.write("conductor.py", CONDUCTOR)
    ours, theirs = pty.openpty()

    def with_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    conductor = subprocess.Popen(
        [sys.executable, script], cwd=project.root, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=with_terminal
    )
    os.close(theirs)
    wait_for(lambda: list(project.root.glob("runs/step/*/begun")))
    os.close(ours)
    assert conductor.wait(LAST_CHANCE_S) == -signal.SIGHUP
    (name,) = [path.parent.name for path in project.root.glob("runs/step/*/begun")]
    wait_for(lambda: project.record("step", name)["status"] == "interrupted")
    monkeypatch.setenv("GO", "1")
    frame = run_instances(pd.DataFrame({"n": range(4)}), "flow/step.py")
    assert frame["status"].tolist() == ["done"] * 4
    assert frame["reason"].tolist().count("interrupted") == 1

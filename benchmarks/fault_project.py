"""A small project in which faults are tried: a sweep that may be ended at any moment, and what it leaves on disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fault_conductor import CONDUCTOR, Conductor

FLOW = """\
# %% tags=["parameters"]
config = {}

# %%
import os, subprocess, time
from ductaflow import save_results

version, name = config["version"], config["name"]
with open(os.path.join(os.environ["FAULTS_TOLD"], name), "a") as file:
    file.write(f"{version} {os.environ['FAULTS_WHO']}\\n")
if config["free"]:
    subprocess.Popen(["sleep", "600"], start_new_session=True)

# %%
with open("all.txt", "a") as file:
    file.write(f"{version}\\n")
open(f"only{version}.txt", "w").close()
for part in range(3):
    with open(f"part{part}.txt", "w") as file:
        file.write(f"{version}\\n" * 1000)
    time.sleep(0.03)
save_results(value=version * config["n"])
"""
PARTS = ("part0.txt", "part1.txt", "part2.txt")
FILES = {*PARTS, "all.txt", "config.json", "run.json", "run.log", "step.ipynb"}
_MARK = "FAULTS_TRIAL"
_HALVES = (".tmp", ".new", ".old", ".dead", ".part")


class Trial:
    """A folder of one trial: the project, a temporary directory of its own, and what the flow tells of itself."""

    def __init__(self, folder: Path, count: int, like: Trial | None = None) -> None:
        self.folder = folder
        self.count = count
        self.runs = folder / "project" / "runs"
        self.temporary = folder / "temporary"
        self.mark = uuid.uuid4().hex
        if like is not None:
            shutil.copytree(like.folder / "project", folder / "project", symlinks=True)
        for name in ("temporary", "told", "frames", "project/flow"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def write_project(self, engine: str) -> None:
        """The flow, the conductor and the settings."""
        settings = f'[project]\nname = "faults"\n\n[tool.ductaflow]\nengine = "{engine}"\n'
        texts = {"pyproject.toml": settings, "flow/step.py": FLOW, "conductor.py": CONDUCTOR}
        for name, text in texts.items():
            (self.folder / "project" / name).write_text(text, encoding="utf-8")

    @property
    def names(self) -> list[str]:
        """All instances."""
        return [f"r{number:03}" for number in range(self.count)]

    def conductor(self, who: str) -> Conductor:
        """A conductor that has not been told to do anything; `who` tells it from others."""
        variables = {"TMPDIR": str(self.temporary), "FAULTS_TOLD": str(self.folder / "told"), "FAULTS_WHO": who}
        return Conductor(self.folder, self.count, who, {**variables, _MARK: self.mark})

    def frame_file(self, name: str) -> Path:
        """Where a conductor leaves a frame; the same name with `.begun` is there before it runs anything."""
        return self.folder / "frames" / f"{name}.json"

    def frame(self, name: str) -> dict[str, dict[str, Any]] | None:
        """What a conductor said of each row in the end."""
        rows = read_json(self.frame_file(name))
        return None if rows is None else {row["instance_name"]: row for row in rows}

    def executions(self) -> dict[str, list[tuple[int, str]]]:
        """Which versions of each instance were begun, and whose conductor that was, one after the other."""
        found = {}
        for path in (self.folder / "told").iterdir():
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            found[path.name] = [(int(version), who) for version, who in lines]
        return found

    def processes(self, who: str | None = None) -> dict[int, str]:
        """All that were started in this trial, or by one conductor, and have not ended; with their command lines."""
        marks = {f"{_MARK}={self.mark}".encode(), *([] if who is None else [f"FAULTS_WHO={who}".encode()])}
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                place = Path("/proc", name)
                if marks <= {*(place / "environ").read_bytes().split(b"\0")}:
                    found[int(name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def left_after(self, seconds: float, living: Sequence[Conductor], who: str | None = None) -> dict[int, str]:
        """The processes that are still there that long from now, without those of living conductors that wait."""
        until = time.monotonic() + seconds
        while True:
            families = [pids for one in living for kind, pids in one.family().items() if kind != "child"]
            waiting = {pid for pids in families for pid in pids}
            left = {pid: told for pid, told in self.processes(who).items() if pid not in waiting}
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.03)

    def scratch_left(self, living: Sequence[Conductor] = ()) -> list[str]:
        """What is in the temporary directory and is no folder of a conductor that waits."""
        names = sorted(path.name for path in self.temporary.iterdir())
        return [name for name in names if not any(f"-{conductor.pid}-" in name for conductor in living)]

    def end_all(self) -> None:
        """Nothing of a trial outlives it."""
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def record(self, name: str) -> dict[str, Any] | None:
        """The content of an instance's record, if there is one that can be read."""
        return read_json(self.runs / "step" / name / "run.json")

    def is_whole(self, name: str, version: int, *, previous: bool = False) -> bool:
        """Whether all good results of a version are there: in the instance's folder, or as those that are kept."""
        folder = (self.runs / ".ductaflow/previous/step" if previous else self.runs / "step") / name
        record, config, notebook = (read_json(folder / each) for each in ("run.json", "config.json", "step.ipynb"))
        if record is None or config is None or notebook is None or not (folder / "run.log").is_file():
            return False
        told = {"status": record.get("status"), "results": record.get("results"), "version": config.get("version")}
        wanted = {"status": "done", "results": {"value": version * self.names.index(name)}, "version": version}
        names = (*PARTS, "all.txt", *sorted(path.name for path in folder.glob("only*")))
        texts = {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file()}
        large = dict.fromkeys(PARTS, f"{version}\n" * 1000)
        right = large | {"all.txt": f"{version}\n", f"only{version}.txt": ""}
        return told == wanted and texts == right and len(notebook["cells"]) > len(PARTS)

    def torn(self) -> list[str]:
        """Files of ours that are no JSON."""
        paths = [path for ending in ("json", "ipynb") for path in self.runs.rglob(f"*.{ending}")]
        return [str(path.relative_to(self.runs)) for path in paths if path.is_file() and read_json(path) is None]

    def halves(self) -> list[str]:
        """What was being written or moved, and what does not belong into an instance's folder."""
        found = [path for path in self.runs.rglob("*") if path.name.startswith(".") and path.suffix in _HALVES]
        found += self.runs.glob(".ductaflow/stop-*")
        found += self.runs.glob(".ductaflow/previous/step/*")
        found += [path for path in self.runs.glob("step/*/*") if path.name not in FILES and path.name[:4] != "only"]
        return sorted(str(path.relative_to(self.runs)) for path in found)


def read_json(path: Path) -> Any:
    """What a file holds; `None` if it is not there, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

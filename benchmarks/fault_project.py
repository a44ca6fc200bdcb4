"""A small project in which faults are tried: a sweep that may be ended at any moment, and what it leaves on disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
for part in range(3):
    with open(f"part{part}.txt", "w") as file:
        file.write(f"{version}\\n" * 1000)
    time.sleep(0.03)
save_results(value=version * config["n"])
"""
CONDUCTOR = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import pandas as pd
from ductaflow import run_instances

version, count, frame = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
names = [f"r{number:03}" for number in range(count)]
rows = pd.DataFrame({"instance_name": names, "name": names, "version": version, "n": range(count)})
rows["free"] = (rows["n"] % 4 == 1) & (count < 50)
open(frame + ".begun", "w").close()
found = run_instances(rows, "flow/step.py", workers=2, on_error="continue")
found.reindex(columns=["instance_name", "status", "result.value"]).to_json(frame, orient="records")
"""
PARTS = ("part0.txt", "part1.txt", "part2.txt")
FILES = {*PARTS, "config.json", "run.json", "run.log", "step.ipynb"}
LAST_CHANCE_S = 120.0
_MARK = "FAULTS_TRIAL"
_HALVES = (".tmp", ".new", ".old", ".dead")


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

    def start(self, version: int, who: str) -> subprocess.Popen[bytes]:
        """A conductor of all rows at this version; `who` tells it from others."""
        variables = {"TMPDIR": str(self.temporary), "FAULTS_TOLD": str(self.folder / "told"), "FAULTS_WHO": who}
        command = [sys.executable, "conductor.py", str(version), str(self.count), str(self.frame_file(who))]
        with open(self.folder / f"{who}.log", "wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder / "project",
                env={**os.environ, **variables, _MARK: self.mark},
                stdout=log,
                stderr=log,
            )

    def frame_file(self, who: str) -> Path:
        """Where a conductor leaves its frame; the same name with `.begun` is there before it runs anything."""
        return self.folder / "frames" / f"{who}.json"

    def frame(self, who: str) -> dict[str, dict[str, Any]] | None:
        """What a conductor said of each row in the end."""
        with contextlib.suppress(OSError, ValueError):
            return {row["instance_name"]: row for row in json.loads(self.frame_file(who).read_text(encoding="utf-8"))}
        return None

    def executions(self) -> dict[str, list[tuple[int, str]]]:
        """Which versions of each instance were begun, and whose conductor that was, one after the other."""
        found = {}
        for path in (self.folder / "told").iterdir():
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            found[path.name] = [(int(version), who) for version, who in lines]
        return found

    def processes(self) -> dict[int, str]:
        """All that were started in this trial and have not ended, with what they were started as."""
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                place = Path("/proc", name)
                if f"{_MARK}={self.mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found[int(name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def processes_after(self, seconds: float, *, free: bool = True) -> list[str]:
        """Those that are still there that long from now, if not none before; `free`: also what flows have set free."""
        until = time.monotonic() + seconds
        while True:
            left = [told for told in self.processes().values() if free or not told.startswith("sleep")]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.02)

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
        texts = [(folder / part).read_text(encoding="utf-8") for part in PARTS if (folder / part).is_file()]
        return told == wanted and texts == [f"{version}\n" * 1000] * len(PARTS) and len(notebook["cells"]) > len(PARTS)

    def torn(self) -> list[str]:
        """Files of ours that are no JSON."""
        paths = [path for ending in ("json", "ipynb") for path in self.runs.rglob(f"*.{ending}")]
        return [str(path.relative_to(self.runs)) for path in paths if path.is_file() and read_json(path) is None]

    def halves(self) -> list[str]:
        """What was being written or moved, and what does not belong into an instance's folder."""
        found = [path for path in self.runs.rglob("*") if path.name.startswith(".") and path.suffix in _HALVES]
        found += self.runs.glob(".ductaflow/stop-*")
        found += self.runs.glob(".ductaflow/previous/step/*")
        found += [path for path in self.runs.glob("step/*/*") if path.name not in FILES]
        return sorted(str(path.relative_to(self.runs)) for path in found)


def read_json(path: Path) -> Any:
    """What a file holds; `None` if it is not there, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def wait_until_ended(processes: Iterable[subprocess.Popen[bytes]]) -> list[int | None]:
    """Their exit codes; `None` for one that hangs, which is killed."""
    codes: list[int | None] = []
    until = time.monotonic() + LAST_CHANCE_S
    for process in processes:
        try:
            codes.append(process.wait(max(until - time.monotonic(), 0.1)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            codes.append(None)
    return codes

"""What a worker is told to do: one instance, and how to execute it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ductaflow_runtime.flow.notebook import read_bytes
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import CONFIG_NAME, Instance


@dataclass(frozen=True)
class Job:
    """All that a worker needs to execute one instance; plain JSON values, so that it travels anywhere.

    `preload` is what its worker imports ahead, in this order; with `learns` also what earlier instances had to,
    but nothing of `avoid`.
    `timeout` is in seconds, `max_memory` in bytes, `grace` for how many seconds threads that the flow left are waited
    for, `git` the state of the project's repository, `lane` the number of the worker among those at work, `folder`
    the instance's folder where it is not `runs/{step}/{name}`, `unless` a file that
    keeps the job from beginning once it is there, `text` what is executed: the flow as it was when the call began.
    `planned` tells the record that the plan was made on: if there is another one by now, it is decided anew whether to
    execute. `wait` is for how many seconds an instance that another process holds is waited for. `script`: on this
    Python's kernel, the flow does the same as a script, for it reads its arguments. `shared` tells the flow's shared
    cells from those of another text, if they are executed ahead. `call` tells the call that it is of from others.
    `retries` is how often the instance is executed again
    when it fails, `attempts` what its record says of the executions of this call that have failed. `dates` are the
    dotted keys of the config's texts that were given as dates.
    """

    root: str
    runs_dir: str
    flow: str
    step: str
    name: str
    config: dict[str, Any]
    reason: str = "new"
    timeout: float | None = None
    max_memory: int | None = None
    grace: float = 30.0
    export_html: bool = False
    show_code: bool = True
    copy_inputs: bool = False
    kernel_name: str | None = None
    engine: str = "fork"
    preload: list[str] = field(default_factory=list)
    learns: bool = False
    avoid: list[str] = field(default_factory=list)
    threads: int = 1
    git: dict[str, Any] = field(default_factory=dict)
    lane: int | None = None
    folder: str | None = None
    unless: str | None = None
    force: bool = False
    planned: str | None = None
    wait: float = 0.0
    text: str | None = None
    script: bool = False
    shared: str = ""
    retries: int = 0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    call: str = ""
    dates: list[str] = field(default_factory=list)
    keep: int = 0
    keep_size: int = 0

    @property
    def content(self) -> bytes:
        """The flow's text that is executed."""
        return read_bytes(Path(self.flow)) if self.text is None else self.text.encode()

    @property
    def instance(self) -> Instance:
        """The instance that this job executes."""
        folder = None if self.folder is None else Path(self.folder)
        return Instance(Path(self.flow), self.step, self.name, self.config, Path(self.runs_dir), folder)

    @property
    def project(self) -> Project:
        """The project, as far as an execution needs it: what its settings say is in the job."""
        return Project(Path(self.root), Path(self.runs_dir))

    def but(self, **changes: Any) -> Job:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


def command_line(job: Job) -> str:
    """The one line that reproduces an instance, typed in the project root."""
    project = job.project
    folder = project.relative(job.instance.directory)
    flow = project.relative(job.flow)
    config = f"{folder}/{CONFIG_NAME}"
    if job.script and flow.endswith(".py") and job.kernel_name is None:
        parts = ["python", flow, "--config", config, "--output-dir", folder]
    else:
        parts = ["ductaflow", "run", flow, "--config", config, "--step", job.step, "--name", job.name]
        parts += ["--kernel", job.kernel_name] if job.kernel_name is not None else []
    return shlex.join(parts)

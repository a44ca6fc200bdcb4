"""The present state of a project, which the records of instances are compared with."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ductaflow_runtime.flow.analysis import analyse
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.kernels import choose_kernel
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.record import Record, asked_kernel
from ductaflow_runtime.staleness.awaited import Awaited
from ductaflow_runtime.staleness.ignored import is_ignored
from ductaflow_runtime.staleness.module_code import read_module


@dataclass
class Present:
    """The present state of a project, each fact looked up once; of the flows in `texts`, that text counts.

    `kernels` are those that a call asks for, by flow (`None`: it asks for none); any other flow is executed on the one
    that the last call asked for. What is `awaited` will be other than it is now, so that it is no cause, and no reason
    to be sure. Without `keep` nothing is added to the caches.
    `instances` are those of other folders that have been looked at.
    """

    project: Project
    texts: Mapping[Path, bytes] = field(default_factory=dict)
    kernels: Mapping[Path, str | None] = field(default_factory=dict)
    awaited: Awaited | None = None
    keep: bool = True
    instances: dict[str, tuple[str | None, Record | None]] = field(default_factory=dict, init=False)
    contents: Contents = field(init=False)
    _flows: dict[Path, FlowCode] = field(default_factory=dict)
    _names: dict[Path, str] = field(default_factory=dict)
    _chosen: dict[tuple[Path, str | None], str] = field(default_factory=dict)
    _versions: dict[str, str | None] = field(default_factory=dict)
    _trees: dict[str, str | None] = field(default_factory=dict)
    _ignored: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contents = Contents(self.project.hash_cache, self.keep)
        self.results = self.project.relative(self.project.runs_dir)

    def code(self, flow: Path) -> FlowCode:
        """What the flow's text says now."""
        if flow not in self._flows:
            self._flows[flow] = analyse(flow, self.project.flow_cache, self.texts.get(flow), keep=self.keep)
        return self._flows[flow]

    def name_of(self, flow: Path) -> str:
        """The flow as records name it."""
        if flow not in self._names:
            self._names[flow] = self.project.relative(flow)
        return self._names[flow]

    def kernel(self, flow: Path, record: Record) -> str:
        """What the flow would be executed on, as records call it; raises `FlowFileError` if that is not installed."""
        asked = self.kernels[flow] if flow in self.kernels else asked_kernel(record.command)
        if (flow, asked) not in self._chosen:
            self._chosen[flow, asked] = choose_kernel(self.code(flow), asked).name
        return self._chosen[flow, asked]

    def version(self, package: str) -> str | None:
        """The installed version of a distribution."""
        if package not in self._versions:
            try:
                self._versions[package] = importlib.metadata.version(package)
            except (importlib.metadata.PackageNotFoundError, ValueError):
                self._versions[package] = None
        return self._versions[package]

    def tree(self, path: str) -> str | None:
        """The digest of the syntax tree of a module; `None` if there is no such text."""
        if path not in self._trees:
            code = read_module(path, self.contents.cache, keep=self.keep)
            self._trees[path] = None if code is None else code.tree
        return self._trees[path]

    def ignores(self, path: str) -> bool:
        """Whether an input, as records store its path, never makes an instance run again."""
        if path not in self._ignored:
            self._ignored[path] = is_ignored(path, self.project.settings.ignore, self.results)
        return self._ignored[path]

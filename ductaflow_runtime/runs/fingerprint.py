"""What went into an execution, in named parts, so that a reason can say what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ductaflow_runtime.config.values import Config
from ductaflow_runtime.files import FileState
from ductaflow_runtime.runs.stored import Stored


@dataclass(frozen=True)
class CodeState(Stored):
    """The flow's code: a digest for each code cell, and one of the whole text, comments and markdown included.

    `defaults` are the plain values in the parameters cell; `None` in the records of 0.1.0, which did not note them.
    `takes_config` says whether a config replaces them as a whole, and not one by one; `None` where nobody noted it.
    """

    cells: list[str] = field(default_factory=list)
    text: str | None = None
    defaults: Config | None = None
    takes_config: bool | None = None


@dataclass(frozen=True)
class Fingerprint(Stored):
    """`modules` and `inputs` map project-relative paths to what was there, `packages` distributions to versions.

    `config` is `None` where an execution ended before it was known, `kernel` in records that did not note it.
    """

    config: Config | None = None
    code: CodeState = field(default_factory=CodeState)
    modules: dict[str, FileState] = field(default_factory=dict)
    inputs: dict[str, FileState] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    kernel: str | None = None


def fingerprint_from_json(stored: Mapping[str, Any]) -> Fingerprint:
    """The inverse of `to_json`; a part that is missing is empty."""
    code = stored.get("code") or {}
    return Fingerprint(
        config=stored.get("config"),
        code=CodeState(code.get("cells") or [], code.get("text"), code.get("defaults"), code.get("takes_config")),
        modules=stored.get("modules") or {},
        inputs=stored.get("inputs") or {},
        packages=stored.get("packages") or {},
        kernel=stored.get("kernel"),
    )

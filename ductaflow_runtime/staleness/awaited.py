"""In a plan of several steps: what will be made anew before an instance is decided on, and may then hold anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Awaited:
    """Absolute folders of instances, and absolute paths of files, that will be made anew."""

    runs_dir: Path
    instances: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    def by(self, path: str) -> str | None:
        """What will make anew what lies at an absolute path: an instance's address, or the file itself."""
        if not self.instances and not self.files:
            return None
        if path in self.files:
            return path
        parts = Path(path).parts[len(self.runs_dir.parts) :]
        if Path(path) != self.runs_dir and not path.startswith(f"{self.runs_dir}{os.sep}"):
            return None
        if len(parts) > 1:
            address = "/".join(parts[:2])
            return address if str(self.runs_dir / address) in self.instances else None
        # A folder of instances: it will have other names in it, if an instance has no folder yet.
        return next((each for each in self.of_step(*parts) if not (self.runs_dir / each).is_dir()), None)

    def of_step(self, step: str | None = None) -> Iterator[str]:
        """The addresses of the instances of a step, or of all."""
        addresses = ("/".join(Path(each).parts[-2:]) for each in sorted(self.instances))
        return (each for each in addresses if step is None or each.startswith(f"{step}/"))

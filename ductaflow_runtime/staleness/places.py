"""Where a file must lie to count as an input of an instance."""

from __future__ import annotations

import os

from ductaflow_runtime.files import is_device
from ductaflow_runtime.staleness.imports import installed_folders, is_below, is_packaged

_PASSED_OVER = frozenset((".git", "__pycache__", ".ipynb_checkpoints", ".ductaflow", "node_modules"))


class Places:
    """The project and its results, without the instance's own folder, installed packages and caches.

    A path through a link into one of these folders means the same file as the path without the link.
    """

    def __init__(self, root: str, own: str, runs_dir: str) -> None:
        self._root = root
        self._own = own
        self._bases = tuple(base for base in (root, runs_dir) if base)
        self._installed = installed_folders(*self._bases)
        # The working directory of a flow is told without links, so both ways to write a folder must mean the same.
        self._real = {base: os.path.realpath(base) for base in (own, *reversed(self._bases))}
        self._found: dict[tuple[str, bool], str | None] = {}

    @property
    def own(self) -> str:
        """The instance's folder, without links."""
        return self._real[self._own]

    def holds_code(self, path: str) -> bool:
        """Whether the code in this file is the project's or the instance's own, and no installed package's."""
        if path.startswith(self._installed):
            return False
        for written in (path, os.path.realpath(path)):
            base = self._base_of(self._as_written_in_project(written)) or (
                self._own if is_below(written, self._own) else None
            )
            if base is not None:
                return not is_packaged(os.path.relpath(self._as_written_in_project(written), base))
        return False

    def inside_own(self, given: object) -> str | None:
        """The name in the instance's folder of what was given to `open` and the like, if it lies there."""
        if isinstance(given, bytes):
            given = os.fsdecode(given)
        if not isinstance(given, (str, os.PathLike)):
            return None
        path = str(os.path.abspath(os.fspath(given)))
        folder = next((each for each in (self._own, self.own) if is_below(path, each)), None)
        return None if folder is None else path[len(folder) :].strip(os.sep).replace(os.sep, "/")

    def find(self, given: object, anywhere: bool = False) -> str | None:
        """The absolute path of what was given to `open` and the like, if it may count; else `None`.

        `anywhere`: outside the project too, since the flow names it.
        """
        path = _path_of(given) if isinstance(given, int) else given
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return None
        key = (str(os.path.abspath(os.fspath(path))), anywhere)
        if is_below(key[0], self._own) or is_below(key[0], self.own):
            linked = self._through_link(key[0])  # each time: the flow may have made the link since
            if linked is None:
                return None
            key = (linked, anywhere)
        if key not in self._found:
            self._found[key] = self._find(*key)
        return self._found[key]

    def _through_link(self, path: str) -> str | None:
        """Where a path in the instance's folder leads, if a link leads it out of there."""
        own = self._own if is_below(path, self._own) else self.own
        place = own
        for name in path[len(own) :].strip(os.sep).split(os.sep):
            place = os.path.join(place, name)
            if os.path.islink(place):
                real = os.path.realpath(path)
                return None if real == self.own or is_below(real, self.own) else real
        return None

    def _find(self, path: str, anywhere: bool) -> str | None:
        if path.startswith(self._installed):
            return None
        path = self._as_written_in_project(path)
        if self._base_of(path) is None:
            real = self._as_written_in_project(os.path.realpath(path))
            if self._base_of(real) is not None:
                path = real
            elif not anywhere or is_device(path):
                return None
        if path == self._own or is_below(path, self._own) or self._is_passed_over(path):
            return None
        return path

    def _is_passed_over(self, path: str) -> bool:
        inside = os.path.relpath(path, self._base_of(path) or self._root)
        return is_packaged(inside) or not _PASSED_OVER.isdisjoint(inside.split(os.sep))

    def _as_written_in_project(self, path: str) -> str:
        """The path as it is written seen from the project, where it lies in the real place of a linked folder."""
        for written, real in self._real.items():
            if written != real and (path == real or is_below(path, real)):
                return written + path[len(real) :]
        return path

    def _base_of(self, path: str) -> str | None:
        return next((base for base in self._bases if path == base or is_below(path, base)), None)


def _path_of(descriptor: int) -> str | None:
    """What an open descriptor stands for, where the system tells (Linux)."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None

"""What a package looks at while it is imported ahead: if that is the project's, each instance must look itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from typing import Any

from ductaflow_runtime.staleness.imports import asked_by_import
from ductaflow_runtime.staleness.places import Places


class ImportWatch:
    """Listens from its first use on, for a hook cannot be removed; notes the first thing while it is `watching`.

    `found` says what it was, in words that follow "importing the package".
    """

    def __init__(self) -> None:
        self.found: str | None = None
        self._places: Places | None = None
        self._names: Collection[str] = ()
        self._active = self._listens = False

    def look_for(self, places: Places, names: Collection[str]) -> None:
        """From now on, files in these places are the project's, and these names of modules."""
        self._places, self._names = places, names

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While a package is imported."""
        if not self._listens:
            self._listen()
        self.found, self._active = None, True
        try:
            yield
        finally:
            self._active = False

    def _listen(self) -> None:
        def hook(event: str, args: tuple[Any, ...], watch: ImportWatch = self) -> None:
            if watch._active:  # first, for instances have the hook, too
                watch._note(event, args)

        sys.addaudithook(hook)
        self._listens = True

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if self.found is not None:
            return
        if event == "import" and args[0].partition(".")[0] in self._names:
            self.found = f"imports {args[0]}, which the project may have"
        elif event == "open" and self._places is not None and isinstance(args[0], (str, bytes, os.PathLike)):
            asking = sys._getframe(2)
            path = self._places.find(args[0])
            if path is not None and os.path.isfile(path) and not asked_by_import(path, False, asking):
                self.found = f"reads {os.path.basename(path)} of the project"

"""What a worker imports before it forks, so that no instance pays for it again.

Only installed packages: a project's own modules may be edited while the worker lives.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.execution.prepare import code_of
from ductaflow_runtime.kernel.shell import build_kernel
from ductaflow_runtime.staleness.imports import installed_folders
from ductaflow_runtime.staleness.places import Places
from ductaflow_runtime.staleness.take_fingerprint import packages
from ductaflow_runtime.worker.fork_evidence import left_behind, look
from ductaflow_runtime.worker.fork_verdicts import ANY_PART, is_among
from ductaflow_runtime.worker.import_ahead import NEVER, is_installed, top_of
from ductaflow_runtime.worker.import_watch import ImportWatch
from ductaflow_runtime.worker.process import UnfitError

IMPORT_LIMIT_S = 60.0
# Importing this shows figures inline from then on, unless the flow has chosen another backend before.
_INLINE = "matplotlib_inline"
_NEEDED_INLINE = ("matplotlib.backends.backend_agg", "IPython.core.pylabtools")
_MODULE_ENDINGS = tuple(importlib.machinery.all_suffixes())
_ALWAYS = (
    "ductaflow_runtime.flow_api",
    "ductaflow_runtime.execution.script",
    "ductaflow_runtime.kernel.cells",
    "asyncio",
    "jupytext",
    "nbclient",
    "nbformat",
    "papermill.execute",
    "tornado.ioloop",
    "dateutil.parser",
)


def preload_runtime() -> None:
    """What every execution needs."""
    for name in _ALWAYS:
        importlib.import_module(name)
    # The first cell that nbformat makes and checks costs ten times as much as any other.
    importlib.import_module("nbformat.v4").new_code_cell("")


class Preloader:
    """What a worker has imported ahead, and what its children had to import beyond that.

    `note` is the file that tells what it is importing at this moment, in case that ends the process: a crash, an
    exit, or more than `limit_s` seconds.
    """

    def __init__(self, note: Path | None = None, limit_s: float = IMPORT_LIMIT_S) -> None:
        # Top-level names that the runtime itself has loaded: in a fork, no module of the project can take their place.
        self._of_runtime: frozenset[str] = frozenset()
        self._learned: set[str] = set()
        self._tried: set[str] = set()
        self._asked: set[str] = set()
        self._watch = ImportWatch()
        self.note = note
        self._limit_s = limit_s

    def warm_up(self, job: Job) -> None:
        """Do ahead what every execution of this flow needs: read it, and import what may be imported.

        Raises `UnfitError` for an import after which this process must not be forked.
        """
        flow = Path(job.flow)
        names: tuple[str, ...] = ()
        with contextlib.suppress(Exception):  # what is wrong with the flow, the execution will say
            names = code_of(flow, job.content).imports
        learned = sorted(name for name in self._learned if not is_among(name, job.avoid)) if job.learns else []
        shell: Any = build_kernel().shell
        local = {top for folder in (flow.parent, job.root) for top in _modules_in(folder)}
        self._watch.look_for(Places(job.root, str(job.instance.directory), job.runs_dir), local)
        with shell.builtin_trap, _as_in_an_instance(job):  # pandas looks for a notebook when it is imported
            self.preload(job.preload, job.export_html, (flow.parent, job.root))
            self.preload(learned, folders=(flow.parent, job.root), on_the_way=True)
        self._learned.clear()
        self._asked.update(names)
        packages(names)
        for bases in ((job.root, job.runs_dir), (job.root,)):
            installed_folders(*bases)

    def keep_loaded(self) -> None:
        """What is loaded now, modules of the project among it, is what instances are to find."""
        self._of_runtime = frozenset(top_of(name) for name in list(sys.modules))

    @property
    def has_loaded(self) -> bool:
        """Whether flows have asked for modules that are not Python's own; the runtime may have loaded them itself."""
        return any(top_of(name) not in sys.stdlib_module_names | {"ductaflow"} for name in self._tried | self._asked)

    def learn(self, names: Iterable[str]) -> None:
        """Children had to import these themselves; the next ones find them there."""
        self._learned.update(filter(is_part_of_known, names))

    def preload(
        self,
        names: Iterable[str],
        export_html: bool = False,
        folders: Iterable[str | os.PathLike[str]] = (),
        *,
        on_the_way: bool = False,
    ) -> None:
        """Import modules ahead; one that fails is left for the flow itself to fail on.

        `folders` come first when the flow imports: an installed package whose name a module there bears is not
        loaded, or forgotten again, so that the flow gets the one that a fresh interpreter would give it. `on_the_way`:
        the flow does not import them itself; one that makes this process unfit speaks for its package's others.
        """
        self._of_runtime = self._of_runtime or frozenset(top_of(name) for name in list(sys.modules))
        local = {top for folder in folders for top in _modules_in(folder)}
        for name in names:
            if name not in self._tried and top_of(name) != _INLINE and top_of(name) not in local and is_installed(name):
                self._tried.add(name)
                self._import(name, top_of(name) + ANY_PART if on_the_way and "." in name else None)
        if "matplotlib" in sys.modules:
            with contextlib.suppress(ImportError):
                for name in _NEEDED_INLINE:
                    importlib.import_module(name)
        if export_html:
            from ductaflow_runtime.html_export.export import warm_up

            with contextlib.suppress(Exception):
                warm_up()
        shadowed = {top for top in local - self._of_runtime if top in sys.modules}
        for name in [name for name in sys.modules if top_of(name) in shadowed] if shadowed else ():
            del sys.modules[name]
            self._tried.discard(name)

    def _import(self, name: str, blamed: str | None = None) -> None:
        """Do what the statement does, in the knowledge that it may end this process.

        What makes the process unfit is blamed on the module, or on the part of it, whose import did; on `blamed`, if
        that is given.
        """
        module, _, attribute = name.partition(":")
        if module not in sys.modules:
            self._watched(blamed or module, lambda: importlib.import_module(module))
        loaded = sys.modules.get(module)
        if loaded is not None and attribute not in ("", "*") and attribute not in getattr(loaded, "__dict__", {}):
            self._watched(blamed or f"{module}.{attribute}", lambda: _part_of(loaded, attribute))

    def _watched(self, blamed: str, load: Callable[[], object]) -> None:
        before = look()
        with self._noted(blamed), self._watch.watching(), _quietly() as warned, contextlib.suppress(BaseException):
            load()
        if self._watch.found is not None:
            raise UnfitError(blamed, self._watch.found, keep=False)
        reason = "warns, which each instance should show" if warned else left_behind(before)
        if reason is not None:
            raise UnfitError(blamed, reason)

    @contextlib.contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        if self.note is None:
            yield
            return
        self.note.write_text(name, encoding="utf-8")
        # Not handled: it ends the process, also one that hangs in machine code.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.note.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_in_an_instance(job: Job) -> Iterator[None]:
    """While what an import may look at is much like what it is in an instance of the job: argument and folder.

    The folder is the one above the instance's, for that is to be made anew: a setting is looked for in the same ones.
    """
    before, arguments = os.getcwd(), sys.argv
    with contextlib.suppress(OSError):
        folder = job.instance.directory.parent
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    sys.argv = [job.flow]
    try:
        yield
    finally:
        sys.argv = arguments
        os.chdir(before)


def _part_of(module: ModuleType, name: str) -> object:
    """What `from module import name` looks for: an attribute, which may be made when it is asked for, or a module."""
    return getattr(module, name) if hasattr(module, name) else importlib.import_module(f"{module.__name__}.{name}")


@contextlib.contextmanager
def _quietly() -> Iterator[list[object]]:
    """Collect warnings instead of showing them; the filters that a library sets stay, as in any other process."""
    module: Any = warnings
    show = module._showwarnmsg
    shown: list[object] = []
    module._showwarnmsg = shown.append
    try:
        yield shown
    finally:
        module._showwarnmsg = show


def _modules_in(folder: str | os.PathLike[str]) -> list[str]:
    """The top-level names that a folder on the import path provides; one without `__init__.py` yields to others."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    return [
        top_of(entry)
        for entry in entries
        if entry.endswith(_MODULE_ENDINGS)
        or ("." not in entry and os.path.exists(os.path.join(folder, entry, "__init__.py")))
    ]


def is_part_of_known(name: str) -> bool:
    """Whether a module belongs to the standard library or to a package that is loaded already."""
    top = top_of(name)
    if top in sys.stdlib_module_names:
        return top not in NEVER
    return top in sys.modules and is_installed(top)

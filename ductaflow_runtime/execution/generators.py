"""Random generators over a fork: what shared cells have seeded stays so, else each instance draws its own numbers."""

from __future__ import annotations

import contextlib
import gc
import importlib
import random
import re
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

_DRAWS = re.compile(r"\brandom\b")
_ARROW = "pyarrow.compute"
_OWN = "makes a random generator without a seed, which each instance should have for itself"
_DRAWN = "draws random numbers without a seed, which each instance should draw for itself"
_LARGEST_SEED = 1 << 64  # what a generator of numpy's draws for itself is larger


@dataclass(frozen=True)
class Seeded:
    """The state that a seeded generator was left in; `None` where it was not seeded."""

    python: Any = None
    numpy: Any = None

    def restore(self) -> None:
        """In an instance's process, which was forked meanwhile; those that were not seeded begin anew."""
        if self.python is not None:
            random.setstate(self.python)
        numpy = sys.modules.get("numpy.random")
        if numpy is not None and self.numpy is None:
            # Forked children would all draw the same numbers; the newer generators seed themselves.
            numpy.seed()
        elif numpy is not None:
            numpy.set_state(self.numpy)


class Generators:
    """Watches the two generators that a process has, and who makes others, from when it is made."""

    def __init__(self) -> None:
        self._of_python = _Watched(random, "setstate")
        numpy = _random_of_numpy()
        self._of_numpy = _Watched(numpy, "set_state") if numpy is not None else None
        self._before = _made_without_seed()
        self._made = _Made()
        self._of_arrow = _Arrow(sys.modules[_ARROW]) if _ARROW in sys.modules else None

    def stop(self) -> None:
        """Watch no longer."""
        for watched in (self._of_python, self._of_numpy, self._made, self._of_arrow):
            if watched is not None:
                watched.stop()

    def found(self, codes: Sequence[str]) -> Seeded | str:
        """What was seeded; a text that says why that is not to be known. `codes` are the texts that were executed."""
        if self._of_numpy is None and "numpy.random" in sys.modules and _is_numpys_touched():
            return "imports numpy and draws or seeds random numbers, so that nobody can tell whose they are"
        if self._made.any_is_left() or not _made_without_seed() <= self._before:
            return _OWN
        late = self._of_arrow is None and _ARROW in sys.modules and any(map(_DRAWS.search, codes))
        if late or (self._of_arrow is not None and self._of_arrow.has_drawn):
            return "draws random numbers with Arrow, which forks would draw again"
        watched = (self._of_python, self._of_numpy)
        if any(one is not None and one.has_drawn for one in watched):
            return _DRAWN
        return Seeded(*(None if one is None else one.seeded_state for one in watched))


def _random_of_numpy() -> Any:
    """The module, if numpy is imported: numpy imports it only when it is asked for."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("numpy.random") if "numpy" in sys.modules else None
    return None


class _Watched:
    """One generator. `setter` is the name of what sets its state, besides `seed`."""

    def __init__(self, module: Any, setter: str) -> None:
        self._module = module
        self._setters = {name: getattr(module, name) for name in ("seed", setter)}
        module.seed()
        self._state: Callable[[], Any] = getattr(module, setter.replace("set", "get", 1))
        self._unseeded = self._state()  # as it is without a seed, before anybody draws
        self._is_seeded = self.has_drawn = False
        self.seeded_state: Any = None
        for name, function in self._setters.items():
            setattr(module, name, self._noting(function))

    def stop(self) -> None:
        """From here on, `has_drawn` says if somebody has drawn without a seed, or has seeded it where nobody could see.

        `seeded_state` is the state in which it was left if it was seeded, else `None`.
        """
        for name, function in self._setters.items():
            setattr(self._module, name, function)
        self._note_draws()
        self.seeded_state = self._state() if self._is_seeded else None

    def _note_draws(self) -> None:
        self.has_drawn = self.has_drawn or not (self._is_seeded or self._is_as_without_seed())

    def _is_as_without_seed(self) -> bool:
        return _plain(self._state()) == _plain(self._unseeded)

    def _noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            self._note_draws()
            given = function(*args, **kwargs)
            if all(one is None for one in (*args, *kwargs.values())):
                self._unseeded = self._state()
            self._is_seeded = not self._is_as_without_seed()  # it may have been put back after a use with a seed
            return given

        return noted


class _Made:
    """Python's generators that are made without a seed; those of which temporary files get their names aside."""

    def __init__(self) -> None:
        self._unseeded: weakref.WeakSet[random.Random] = weakref.WeakSet()
        self._seed = random.Random.seed
        seed, unseeded, common = self._seed, self._unseeded, getattr(random, "_inst", None)

        def noted(self: random.Random, a: Any = None, version: int = 2) -> None:
            seed(self, a, version)
            if a is not None:
                unseeded.discard(self)
            elif self is not common and not _is_for_names(sys._getframe(1)):
                unseeded.add(self)

        random.Random.seed = noted  # type: ignore[method-assign]

    def stop(self) -> None:
        random.Random.seed = self._seed  # type: ignore[method-assign]

    def any_is_left(self) -> bool:
        if self._unseeded:
            gc.collect()
        return bool(self._unseeded)


def _is_for_names(asking: FrameType | None) -> bool:
    while asking is not None and asking.f_code.co_filename == random.__file__:
        asking = asking.f_back
    return asking is not None and asking.f_code.co_filename == tempfile.__file__


class _Arrow:
    """Arrow's generator, which cannot be asked for its state."""

    def __init__(self, module: Any) -> None:
        self.has_drawn = False
        self._module, self._draw = module, module.random
        module.random = self._drawing

    def stop(self) -> None:
        self._module.random = self._draw

    def _drawing(self, *args: Any, **kwargs: Any) -> Any:
        self.has_drawn = True
        return self._draw(*args, **kwargs)


def _plain(state: tuple[Any, ...]) -> list[Any]:
    """A state of either generator, arrays as lists."""
    return [part.tolist() if hasattr(part, "tolist") else part for part in state]


def _is_numpys_touched() -> bool:
    """Whether numpy's common generator, imported with nobody watching, is not as its import has left it."""
    numpy: Any = sys.modules["numpy.random"]
    common, state_of = numpy.mtrand._rand, lambda one: _plain(one.get_state())
    seeds = getattr(common._bit_generator, "seed_seq", None)
    return seeds is None or state_of(common) != state_of(numpy.RandomState(type(common._bit_generator)(seeds)))


def _made_without_seed() -> set[int]:
    """The ids of numpy's generators that have drawn their seed from the system, the common one aside."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is None:
        return set()
    kind, common = numpy.BitGenerator, numpy.mtrand._rand._bit_generator
    found = [one for one in gc.get_objects() if issubclass(type(one), kind) and one is not common]
    seeds = {id(one): getattr(getattr(one, "seed_seq", None), "entropy", None) for one in found}
    return {name for name, seed in seeds.items() if isinstance(seed, int) and seed >= _LARGEST_SEED}

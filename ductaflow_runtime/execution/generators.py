"""Random generators over a fork: what shared cells have seeded stays so, else each instance draws its own numbers."""

from __future__ import annotations

import gc
import random
import re
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

_SEEDS = re.compile("seed|set_?state", re.IGNORECASE)
_DRAWS = re.compile(r"\brandom\b")
_ARROW = "pyarrow.compute"
_OWN = "makes a random generator without a seed, which each instance should have for itself"
_PATIENCE_S = 1.0
_BLOCK = 624  # words that a Mersenne twister makes at a time
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
        numpy = sys.modules.get("numpy.random")
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
        if self._of_numpy is None and "numpy.random" in sys.modules and any(map(_SEEDS.search, codes)):
            return "imports numpy and speaks of a seed, so that nobody can tell whose its random numbers are"
        if self._made.any_is_left() or not _made_without_seed() <= self._before:
            return _OWN
        late = self._of_arrow is None and _ARROW in sys.modules and any(map(_DRAWS.search, codes))
        if late or (self._of_arrow is not None and self._of_arrow.has_drawn):
            return "draws random numbers with Arrow, which forks would draw again"
        python = self._of_python.left(_follow_python)
        numpy = self._of_numpy.left(_follow_numpy) if self._of_numpy is not None else None
        if "unknown" in (python, numpy):
            return "draws very many random numbers without a seed"
        return Seeded(python, numpy)


class _Watched:
    """One generator. `setter` is the name of what sets its state, besides `seed`."""

    def __init__(self, module: Any, setter: str) -> None:
        self._module = module
        self._setters = {name: getattr(module, name) for name in ("seed", setter)}
        self._seeded: bool | None = None  # as it was set last; None: it was not
        module.seed()
        self._state: Callable[[], Any] = getattr(module, setter.replace("set", "get", 1))
        self._before = self._state()
        for name, function in self._setters.items():
            setattr(module, name, self._noting(function))

    def stop(self) -> None:
        for name, function in self._setters.items():
            setattr(self._module, name, function)

    def left(self, follow: Callable[[Any, Any], bool]) -> Any:
        """The state that it was left in if it was seeded, else `None`; `"unknown"` if nobody can tell."""
        state = self._state()
        if self._seeded is None and not follow(self._before, state):
            return "unknown"
        return state if self._seeded else None

    def _noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            self._seeded = any(given is not None for given in (*args, *kwargs.values()))
            return function(*args, **kwargs)

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


def _follow_python(before: Any, after: Any) -> bool:
    generator = random.Random()
    generator.setstate(before)
    return _follow(lambda: generator.getstate()[1][0], lambda: generator.getrandbits(32 * _BLOCK), after[1][0])


def _follow_numpy(before: Any, after: Any) -> bool:
    generator = sys.modules["numpy.random"].RandomState()
    generator.set_state(before)
    return _follow(lambda: generator.get_state()[1][0], lambda: generator.bytes(4 * _BLOCK), after[1][0])


def _follow(word: Callable[[], int], draw: Callable[[], object], wanted: int) -> bool:
    """Whether drawing leads there."""
    until = time.monotonic() + _PATIENCE_S
    while word() != wanted:
        if time.monotonic() > until:
            return False
        draw()
    return True


def _made_without_seed() -> set[int]:
    """The ids of numpy's generators that have drawn their seed from the system, the common one aside."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is None:
        return set()
    kind, common = numpy.BitGenerator, numpy.mtrand._rand._bit_generator
    found = [one for one in gc.get_objects() if issubclass(type(one), kind) and one is not common]
    seeds = {id(one): getattr(getattr(one, "seed_seq", None), "entropy", None) for one in found}
    return {name for name, seed in seeds.items() if isinstance(seed, int) and seed >= _LARGEST_SEED}

"""Random generators over a fork: what shared cells have seeded stays so, else each instance draws its own numbers."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    """Watches the two generators that a process has, from when it is made."""

    def __init__(self) -> None:
        self._of_python = _Watched(random, "setstate")
        numpy = sys.modules.get("numpy.random")
        self._of_numpy = _Watched(numpy, "set_state") if numpy is not None else None
        self._before = _made_without_seed()

    def stop(self) -> None:
        """Watch no longer."""
        for watched in (self._of_python, self._of_numpy):
            if watched is not None:
                watched.stop()

    def found(self, speaks_of_seeds: bool) -> Seeded | str:
        """What was seeded; a text that says why that is not to be known. `speaks_of_seeds`: the code names a seed."""
        if self._of_numpy is None and "numpy.random" in sys.modules and speaks_of_seeds:
            return "imports numpy and speaks of a seed, so that nobody can tell whose its random numbers are"
        if not _made_without_seed() <= self._before:
            return "makes a random generator without a seed, which each instance should have for itself"
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

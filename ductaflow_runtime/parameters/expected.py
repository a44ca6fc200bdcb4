"""What a flow expects to be given: by its own code, by its default config, and by the base that all rows share."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.secrets import with_stand_ins
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.parameters.check import KeyChecks
from ductaflow_runtime.parameters.keys import FlowKeys
from ductaflow_runtime.parameters.modules import ModuleNames, names_in_modules


@dataclass(frozen=True)
class Expected:
    """What a flow expects to be given.

    `default` is the content of the config file that its CLI cell names, `base` what all rows share. `unknown_keys` is
    the project's setting; `in_doubt` makes warnings of what would be errors.
    """

    flow: Path
    root: Path
    keys: FlowKeys
    default: Config
    base: Config
    unknown_keys: str = "error"
    in_doubt: bool = False

    @cached_property
    def defaults(self) -> Config:
        """What stands where nothing is given: the parameters cell, the default config on top, then the base."""
        found = self.keys.defaults
        for upper in (self.default, self.base):
            found = _laid_over(found, upper)
        return found

    @cached_property
    def kinds(self) -> Config:
        """Of which kind each value is: the flow itself says it where it can, else the base."""
        return _laid_over(self.base, replace(self, base={}).defaults)

    @cached_property
    def checks(self) -> KeyChecks:
        """The checks of keys, which remember what they have looked up."""
        return KeyChecks(self.keys, known=[self.default, self.base], modules=self._modules)

    def _modules(self) -> ModuleNames:
        return names_in_modules(self.keys.imports, [self.flow.parent, self.root])


def expect(
    flow: Path, root: Path, keys: FlowKeys, *, default_config: str | None, base: Config | None, unknown_keys: str
) -> Expected:
    """What a flow in a project expects; `default_config` is the file that its CLI cell names."""
    default: Config = {}
    if default_config is not None:
        with contextlib.suppress(ConfigError):  # it is not what is used here; whoever runs the flow with it is told
            default = read_config_file(root / default_config)
    return Expected(flow, root, keys, with_stand_ins(default), with_stand_ins(base or {}), unknown_keys)


def _laid_over(lower: Config, upper: Config) -> Config:
    """Two objects as one, what the upper says counting; unlike a row's, its values may be of another kind."""
    merged = dict(lower)
    for key, value in upper.items():
        old = merged.get(key)
        merged[key] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged

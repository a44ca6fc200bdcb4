"""What may name a file that an execution depends on, before anything has been seen to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ductaflow_runtime.config.values import texts_in

if TYPE_CHECKING:
    from ductaflow_runtime.config.values import Config
    from ductaflow_runtime.flow.code import FlowCode


def named_in(code: FlowCode, config: Config) -> list[str]:
    """All texts that stand in a flow's code and in a config."""
    return [*code.literals, *texts_in(config)]

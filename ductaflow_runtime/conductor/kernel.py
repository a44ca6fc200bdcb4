"""The kernel that executes a call's flow: whether it takes the rows, and, afterwards, what nobody saw of them there."""

from __future__ import annotations

from collections.abc import Sequence

from ductaflow_runtime.conductor.observers import Observer
from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import ConfigError
from ductaflow_runtime.execution.translation import parameter_problems, reads_indirectly, unread_keys
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.flow.kernels import choose_kernel
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.terminal import say

_MOST_PROBLEMS = 20


def settle_kernel(code: FlowCode, asked: str | None, instances: Sequence[Instance], unknown_keys: str) -> None:
    """Raise `FlowFileError` if the flow's kernel is not installed, `ConfigError` for configs that it cannot take."""
    choice = choose_kernel(code, asked)
    if choice.note:
        _say(choice.note)
    if choice.kernel is not None and not choice.is_python:
        language = choice.kernel.language
        found = [
            f"{instance.name}: {problem}"
            for instance in instances
            for problem in parameter_problems(instance.config, code, choice.kernel.name, language)
        ]
        unread = {} if unknown_keys == "ignore" else _unread(code, instances, language)
        if unknown_keys == "warn" or reads_indirectly(code):
            for line in unread.values():
                _say(line)
        else:
            found += unread.values()
        if found:
            more = [f"and {len(found) - _MOST_PROBLEMS} more"] if len(found) > _MOST_PROBLEMS else []
            raise ConfigError(f"configs that a flow in {language} cannot be given:", [*found[:_MOST_PROBLEMS], *more])


class Unwatched(Observer):
    """Says it, once, if rows were executed by a Python kernel without ductaflow."""

    def __init__(self, code: FlowCode, asked: str | None) -> None:
        self._code = code
        self._asked = asked
        self._said = False

    def ended(self, outcome: Outcome) -> None:
        """A row that is done, and whose warnings nobody has counted, was not watched."""
        record = outcome.record
        if self._said or outcome.status is not Status.DONE or record is None or record.warnings is not None:
            return
        choice = choose_kernel(self._code, self._asked)
        if choice.is_python:
            self._said = True
            _say(
                f"the kernel {choice.name!r} has no ductaflow: the modules, files and warnings of its rows are not "
                "known, and a change of what the flow does not name makes none of them run again. Install it there"
            )


def _unread(code: FlowCode, instances: Sequence[Instance], language: str) -> dict[str, str]:
    return dict(pair for instance in instances for pair in unread_keys(instance.config, code, language))


def _say(text: str) -> None:
    say(f"ductaflow: {text}")

"""Which kernel executes a flow: the one that the call asks for, the one that the flow names, or this Python."""

from __future__ import annotations

from dataclasses import dataclass

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.parameters.languages import PYTHON, same_language
from ductaflow_runtime.staleness.why_stale import HERE


@dataclass(frozen=True)
class Kernel:
    """A Jupyter kernel that is installed; `language` as `same_language` calls it."""

    name: str
    language: str


@dataclass(frozen=True)
class Choice:
    """`kernel` is `None` for this process, without a kernel of Jupyter's; `note` is a line for whom that surprises."""

    kernel: Kernel | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """The kernel's name, as records keep it."""
        return self.kernel.name if self.kernel is not None else HERE

    @property
    def language(self) -> str:
        """The language that it executes."""
        return self.kernel.language if self.kernel is not None else PYTHON

    @property
    def is_python(self) -> bool:
        """Whether the flow can call ductaflow."""
        return self.kernel is None or self.kernel.language == PYTHON


def choose_kernel(code: FlowCode, asked: str | None) -> Choice:
    """What executes a flow; `asked` is the kernel that a call names. Raises `FlowFileError` if it is not installed."""
    if asked is None and code.kernel is None and code.language == PYTHON:
        return Choice()
    installed = _installed_kernels()
    if asked is not None:
        if asked.lower() not in installed:
            raise FlowFileError(f"kernel {asked!r} is not installed here; {_those(installed)}")
        return Choice(installed[asked.lower()])
    named = installed.get((code.kernel or "").lower())
    if named is not None:
        return Choice(named)
    if code.language == PYTHON:
        return Choice(
            note=f"the flow names the kernel {code.kernel!r}, which is not installed here; runs in this Python"
        )
    return Choice(_only_one(code, installed))


def _only_one(code: FlowCode, installed: dict[str, Kernel]) -> Kernel:
    """The kernel of a language, where there is no doubt which."""
    fitting = [kernel for kernel in installed.values() if kernel.language == code.language]
    if len(fitting) == 1:
        return fitting[0]
    named = f"names the kernel {code.kernel!r}, which is not installed here" if code.kernel else "names no kernel"
    if fitting:
        names = ", ".join(kernel.name for kernel in fitting)
        raise FlowFileError(f"the flow is in {code.language} and {named}; choose one with kernel_name=: {names}")
    raise FlowFileError(
        f"the flow is in {code.language} and {named}; {_those(installed)}. Install a Jupyter kernel for {code.language}"
    )


def _those(installed: dict[str, Kernel]) -> str:
    told = ", ".join(f"{kernel.name} ({kernel.language})" for kernel in installed.values())
    return f"there are {told}" if told else "there are none"


def _installed_kernels() -> dict[str, Kernel]:
    from jupyter_client.kernelspec import KernelSpecManager

    specs = KernelSpecManager().get_all_specs()
    return {name.lower(): Kernel(name, same_language(specs[name]["spec"]["language"])) for name in sorted(specs)}

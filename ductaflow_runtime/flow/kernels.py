"""Which kernel executes a flow: the one that the call asks for, the one that the flow names, or this Python."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from ductaflow_runtime.errors import FlowFileError
from ductaflow_runtime.flow.code import FlowCode
from ductaflow_runtime.parameters.languages import PYTHON, same_language

# What a kernel is called that is this very Python, with its packages.
HERE = "python3"


@dataclass(frozen=True)
class Kernel:
    """A Jupyter kernel that is installed; `language` as `same_language` calls it, `program` what starts it."""

    name: str
    language: str
    program: str

    @property
    def is_this_python(self) -> bool:
        """Whether it is the Python of this process, with the same packages."""
        if self.language != PYTHON:
            return False
        major, minor = sys.version_info[:2]
        if self.program in ("python", f"python{major}", f"python{major}.{minor}"):
            return True  # jupyter_client starts the one of this process for these
        folders = {os.path.realpath(os.path.dirname(program)) for program in (self.program, sys.executable)}
        return len(folders) == 1 and os.path.realpath(self.program) == os.path.realpath(sys.executable)


@dataclass(frozen=True)
class Choice:
    """`kernel` is `None` for this process, without a kernel of Jupyter's; `note` is a line for whom that surprises."""

    kernel: Kernel | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """The kernel's name, as records keep it; what is called like this Python and is another goes by more."""
        if self.kernel is None:
            return HERE
        is_mistakable = self.kernel.name == HERE and not self.kernel.is_this_python
        return f"{HERE} of {self.kernel.program}" if is_mistakable else self.kernel.name

    @property
    def has_our_packages(self) -> bool:
        """Whether it executes with the packages of this process."""
        return self.kernel is None or self.kernel.is_this_python

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
    known = {name: specs[name]["spec"] for name in sorted(specs)}
    return {
        name.lower(): Kernel(name, same_language(spec["language"]), next(iter(spec["argv"]), ""))
        for name, spec in known.items()
    }

"""Arguments that the earlier ductaflow or papermill has: a call with one of them is told what it is called here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container
from typing import ParamSpec, TypeVar

from ductaflow_runtime.errors import DuctaflowError

P = ParamSpec("P")
R = TypeVar("R")

# Of several names, the one that the function has.
_TODAY = {
    "notebook_path": ("notebook_file",),
    "flow_path": ("notebook_file",),
    "flow_name": ("step_name", "title"),
    "default_config_path": ("default_config",),
    "input_path": ("notebook_file",),
    "parameters": ("config",),
    "execution_timeout": ("timeout",),
}
_GONE = {
    "suffix": "write it into instance_name",
    "output_suffix": "the executed notebook is called like the flow, in the instance's folder",
    "output_path": "the executed notebook is called like the flow, in the instance's folder",
    "notebooks_dir": "write the folder into notebook_file",
    "execution_dir": "step_name and instance_name name the folder: runs/{step_name}/{instance_name}",
    "cwd": "a flow works in its instance's folder, and project_path finds its inputs",
    "project_root": "it is the nearest folder with a pyproject.toml, upwards from the working directory",
    "no_execute": "plan_instances says what would run, and `ductaflow debug RUN_DIR` opens an instance as a notebook",
}


def names_todays_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Have `function` answer an argument of the earlier ductaflow, or papermill, with a `TypeError` that names its own.

    Its signature stays the one that it has.
    """
    own = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in own and (advice := _advice(name, own)):
                raise TypeError(f"{function.__name__} has no argument {name}; {advice}")
        try:
            return function(*args, **kwargs)
        except DuctaflowError as error:
            # What is wrong is the caller's, and said in the message: the way through the runtime would bury it.
            raise error.with_traceback(None) from error.__cause__

    return checked


def _advice(name: str, own: Container[str]) -> str | None:
    today = next((each for each in _TODAY.get(name, ()) if each in own), None)
    return _GONE.get(name) if today is None else f"today it is {today}"

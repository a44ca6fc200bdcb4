"""Run one analysis hundreds of times and trust every result: the public names of ductaflow.

Importing this module costs nothing: each name loads what it needs when it is first used.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # not from `typing`, whose import is nearly all that this module's would cost
if TYPE_CHECKING:
    from ductaflow_runtime.conductor.results import load_results as load_results
    from ductaflow_runtime.conductor.run import plan_instances as plan_instances
    from ductaflow_runtime.conductor.run import run_instances as run_instances
    from ductaflow_runtime.conductor.run import run_notebook as run_notebook
    from ductaflow_runtime.conductor.run import run_step_flow as run_step_flow
    from ductaflow_runtime.errors import ConfigError as ConfigError
    from ductaflow_runtime.errors import DuctaflowError as DuctaflowError
    from ductaflow_runtime.errors import FlowError as FlowError
    from ductaflow_runtime.errors import FlowFileError as FlowFileError
    from ductaflow_runtime.errors import InstanceBusyError as InstanceBusyError
    from ductaflow_runtime.errors import InstancesFailed as InstancesFailed
    from ductaflow_runtime.errors import MissingExtraError as MissingExtraError
    from ductaflow_runtime.errors import ProjectError as ProjectError
    from ductaflow_runtime.errors import RecordError as RecordError
    from ductaflow_runtime.errors import WorkerError as WorkerError
    from ductaflow_runtime.flow_api import display_config_summary as display_config_summary
    from ductaflow_runtime.flow_api import instance_path as instance_path
    from ductaflow_runtime.flow_api import is_notebook_execution as is_notebook_execution
    from ductaflow_runtime.flow_api import load_cli_config as load_cli_config
    from ductaflow_runtime.flow_api import load_cli_parameters as load_cli_parameters
    from ductaflow_runtime.flow_api import project_path as project_path
    from ductaflow_runtime.flow_api import save_results as save_results

_HOMES = {
    "ConfigError": "errors",
    "DuctaflowError": "errors",
    "FlowError": "errors",
    "FlowFileError": "errors",
    "InstanceBusyError": "errors",
    "InstancesFailed": "errors",
    "MissingExtraError": "errors",
    "ProjectError": "errors",
    "RecordError": "errors",
    "WorkerError": "errors",
    "display_config_summary": "flow_api",
    "instance_path": "flow_api",
    "is_notebook_execution": "flow_api",
    "load_cli_config": "flow_api",
    "load_cli_parameters": "flow_api",
    "load_results": "conductor.results",
    "plan_instances": "conductor.run",
    "project_path": "flow_api",
    "run_instances": "conductor.run",
    "run_notebook": "conductor.run",
    "run_step_flow": "conductor.run",
    "save_results": "flow_api",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("ductaflow")
    if name not in _HOMES:
        raise AttributeError(f"module 'ductaflow' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ductaflow_runtime.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if __name__ != "__main__" and any(argument.startswith("--o") for argument in sys.argv[1:]):
    # It may be a script with --output-dir, whose record tells of all that it reads from here on.
    importlib.import_module("ductaflow_runtime.execution.script_reads").watch_script()

if __name__ == "__main__":
    from ductaflow_runtime.cli import main

    main()

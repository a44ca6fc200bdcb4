"""The `ductaflow` command."""

from ductaflow_runtime.cli.main import main as main

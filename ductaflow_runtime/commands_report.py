"""`ductaflow report` and `debug`: results to look at, and a failed instance to take apart."""

from __future__ import annotations

from typing import Any

import click


def add_to(group: click.Group, instance_options: Any) -> None:
    """Add the commands of this module to the `ductaflow` command."""

"""`ductaflow plan`, `status`, `accept` and `prune`: what is up to date, and what to do about it."""

from __future__ import annotations

from typing import Any

import click


def add_to(group: click.Group, instance_options: Any) -> None:
    """Add the commands of this module to the `ductaflow` command."""

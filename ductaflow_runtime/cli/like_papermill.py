"""`ductaflow run` typed as papermill is: an error that says how it is typed here."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePath

import click

_VALUES = ("-p", "--parameters")
_TEXTS = ("-r", "--parameters_raw")
_FILES = ("-f", "--parameters_file")
_KERNELS = ("-k",)


class LikePapermill(click.Command):
    """A command whose usage errors name the line that is meant, where that can be told."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; raises `click.UsageError`."""
        given = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            meant = translated(given)
            if meant is not None:
                here = f"That is as papermill has it; here it is: {ctx.command_path} {meant}"
                raise click.UsageError(f"{error.format_message()} {here}", ctx) from None
            raise


def translated(args: list[str]) -> str | None:
    """The arguments of papermill's command as this one takes them; `None` if they are not that."""
    rest, found, notebooks = [*args], [], []
    while rest:
        first = rest.pop(0)
        if first in (*_VALUES, *_TEXTS) and len(rest) > 1:
            name, value = rest.pop(0), rest.pop(0)
            found += ["--set", f"{name}={json.dumps(value) if first in _TEXTS else value}"]
        elif first in (*_FILES, *_KERNELS) and rest:
            found += ["--config" if first in _FILES else "--kernel", rest.pop(0)]
        elif first.startswith("-"):
            return None
        else:
            notebooks.append(first)
    if not 1 <= len(notebooks) <= 2 or (len(notebooks) == 1 and not found):
        return None
    name_of_output = ["--name", PurePath(notebooks[1]).stem] if len(notebooks) == 2 else []
    return shlex.join([notebooks[0], *name_of_output, *found])

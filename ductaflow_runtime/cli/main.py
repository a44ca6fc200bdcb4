"""The `ductaflow` command."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from ductaflow_runtime.config import Config, apply_settings, read_config
from ductaflow_runtime.errors import DuctaflowError, FlowError


class Commands(click.Group):
    """Turns an expected error into one message and an exit code: 1 for a failed flow, 2 for bad input."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except DuctaflowError as error:
            click.echo(f"ductaflow: {error}", err=True)
            ctx.exit(1 if isinstance(error, FlowError) else 2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ductaflow")
def main() -> None:
    """Run flows, and see what became of them."""


def instance_options(command: Any) -> Any:
    """The options that say which instance is meant."""
    for option in (
        click.option("--step", help="Folder under runs/ (default: the flow's file name)."),
        click.option("--name", help="Name of the instance (default: from the config)."),
        click.option("--set", "settings", multiple=True, metavar="KEY=JSON", help="Change one config value."),
        click.option(
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            help="JSON config (default: the one that the flow names).",
        ),
        click.argument("flow", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@main.command()
@instance_options
@click.option("--force", is_flag=True, help="Execute even if it is up to date.")
@click.option("--html", is_flag=True, help="Also write an HTML page.")
@click.option("--kernel", help="Use this Jupyter kernel.")
def run(
    flow: Path, config: Path | None, settings: tuple[str, ...], name: str | None, step: str | None,
    force: bool, html: bool, kernel: str | None,
) -> None:  # fmt: skip
    """Execute one instance of FLOW, unless it is up to date."""
    from ductaflow_runtime.conductor.run import run_notebook

    record = run_notebook(
        flow,
        config_from(flow, config, settings),
        instance_name=name,
        step_name=step,
        force=force,
        export_html=html,
        kernel_name=kernel,
    )
    what = str(record.outcome) if record.skipped else f"done in {record.duration_s:g} s ({record.reason})"
    click.echo(f"{record.step}/{record.instance_name}: {what}")
    click.echo(f"  {record.directory}")


@main.command("plan")
@instance_options
def plan_one(flow: Path, config: Path | None, settings: tuple[str, ...], name: str | None, step: str | None) -> None:
    """Say why an instance of FLOW would execute, or that it is up to date. Executes nothing."""
    from ductaflow_runtime.conductor import plan
    from ductaflow_runtime.config import to_config
    from ductaflow_runtime.runs.instance import check_name, default_name

    call = plan.make_call(flow, step)
    given = to_config(config_from(flow, config, settings))
    called = default_name(given) if name is None else check_name(name)
    (planned,) = plan.make_plans(call, [plan.instance_of(call, called, given)])
    click.echo(f"{call.step}/{called}: {planned.reason or 'up to date'}")


def config_from(flow: Path, path: Path | None, settings: tuple[str, ...]) -> Config:
    """The config that `--config` and `--set` ask for; without `--config`, the flow's default, as for a script."""
    from ductaflow_runtime.flow import analyse, find_flow
    from ductaflow_runtime.project import find_root

    if path is None:
        root = find_root()
        default = analyse(find_flow(flow, root)).default_config
        path = root / default if default and (root / default).is_file() else None
    return apply_settings(read_config(path) if path is not None else {}, settings)


for commands in ("status", "report"):
    importlib.import_module(f"ductaflow_runtime.cli.{commands}").add_to(main)

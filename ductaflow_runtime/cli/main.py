"""The `ductaflow` command."""

from __future__ import annotations

import errno
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ductaflow_runtime.cli.common import echo
from ductaflow_runtime.cli.like_papermill import LikePapermill
from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.texts import apply_settings
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import DuctaflowError, FlowError, shown

if TYPE_CHECKING:
    from ductaflow_runtime.conductor.plan import Call


class Commands(click.Group):
    """Turns an expected error into one message and an exit code: 1 for a failed flow, 2 for bad input."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except DuctaflowError as error:
            click.echo(shown(f"ductaflow: {error}"), err=True)
            ctx.exit(1 if isinstance(error, FlowError) else 2)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # nobody reads any more: click ends the command without a word
            where = f": {error.filename}" if error.filename else ""
            click.echo(shown(f"ductaflow: {error.strerror or error}{where}"), err=True)
            ctx.exit(1)
        except KeyboardInterrupt as interrupt:
            click.echo(str(interrupt) or "ductaflow: stopped", err=True)
            ctx.exit(130)


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
            help="Config: .json, .yaml or .toml (default: the one that the flow names).",
        ),
        click.argument("flow", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@main.command(cls=LikePapermill)
@instance_options
@click.option("--force", is_flag=True, help="Execute even if it is up to date.")
@click.option("--html", is_flag=True, help="Also write an HTML page.")
@click.option("--no-wait", is_flag=True, help="Do not wait for another process that executes it.")
@click.option("--kernel", help="Use this Jupyter kernel.")
@click.option("--max-memory", metavar="AMOUNT", help='End it when it holds more than this, such as "2 GB".')
def run(
    flow: Path, config: Path | None, settings: tuple[str, ...], name: str | None, step: str | None,
    force: bool, html: bool, no_wait: bool, kernel: str | None, max_memory: str | None,
) -> None:  # fmt: skip
    """Execute one instance of FLOW, unless it is up to date."""
    from ductaflow_runtime.conductor.plan import Options, make_call
    from ductaflow_runtime.conductor.run import run_one

    wait = 0.0 if no_wait else None
    options = Options(force=force, export_html=html, kernel_name=kernel, workers=1, wait=wait, max_memory=max_memory)
    call = make_call(flow, step, options=options)
    outcome = run_one(call, config_from(call, config, settings), name)
    record = outcome.as_record(call.project)
    idle = f"{outcome.status} ({outcome.reason})" if outcome.reason else str(outcome.status)
    what = idle if record.skipped else f"done in {record.duration_s:g} s ({record.reason})"
    echo(f"{record.step}/{record.instance_name}: {what}")
    echo(f"  {outcome.directory}")


@main.command("plan")
@instance_options
@click.option("--kernel", help="For this Jupyter kernel.")
def plan_one(
    flow: Path, config: Path | None, settings: tuple[str, ...], name: str | None, step: str | None, kernel: str | None
) -> None:
    """Say why an instance of FLOW would execute, or that it is up to date. Executes nothing.

    Of a conductor's file in place of FLOW it says what all its steps would execute.
    """
    from ductaflow_runtime.cli.plan import is_conductor, plan_conductor
    from ductaflow_runtime.conductor.plan import Options, instance_of, make_call, make_plans
    from ductaflow_runtime.runs.states import Status
    from ductaflow_runtime.staleness.inventory import examine
    from ductaflow_runtime.staleness.upstream import rest_on

    if is_conductor(flow):
        if config or settings or name or step or kernel:
            raise click.UsageError(f"{flow} is a conductor: it says itself which instances there are; give no options")
        plan_conductor(flow)
        return
    call = make_call(flow, step, options=Options(kernel_name=kernel))
    (plan,) = make_plans(call, [instance_of(call, config_from(call, config, settings), name)])
    echo(f"{plan.instance.step}/{plan.instance.name}: {plan.told or Status.UP_TO_DATE}")
    if plan.told is None:
        present = call.present()
        (found,) = rest_on(examine(present, plan.instance.step, [plan.instance.name]), present)
        if found.above is not None:
            echo(f"  but it {found.above.text}; see to that first, and ask again")


def config_from(call: Call, path: Path | None, settings: tuple[str, ...]) -> Config:
    """The config that `--config` and `--set` ask for; without `--config`, the flow's default, as for a script.

    Raises `ConfigError` for a file that is not there, be it the default.
    """
    if path is None and call.code.default_config:
        path = call.project.root / call.code.default_config
    return apply_settings(read_config_file(path) if path is not None else {}, settings)


for commands in ("parameters", "status", "accept", "history", "prune", "report"):
    importlib.import_module(f"ductaflow_runtime.cli.{commands}").add_to(main)

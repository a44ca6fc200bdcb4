"""`ductaflow report` and `debug`: results to look at, and a failed instance to take apart."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from ductaflow_runtime.cli.common import echo
from ductaflow_runtime.errors import DuctaflowError, RecordError
from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import check_name, list_instances
from ductaflow_runtime.runs.record import read_record


def add_to(group: click.Group) -> None:
    """Add the commands of this module to the `ductaflow` command."""
    group.add_command(report)
    group.add_command(debug)


@click.command()
@click.option("--html", "steps", multiple=True, metavar="STEP", help="Make the HTML pages of a step instead.")
@click.option("--code/--no-code", default=None, help="Show or leave out code (default: the project's setting).")
def report(steps: tuple[str, ...], code: bool | None) -> None:
    """Write runs/index.html, the page of all instances; or a page for each instance of a step."""
    project = Project.find()
    if not steps:
        echo(write_index(project))
    for step in steps:
        made, left_out = make_pages(project.runs_dir, step, project.settings.code if code is None else code)
        echo(f"{step}: {made} HTML page{'' if made == 1 else 's'} written")
        for line in left_out:
            echo(f"  without a page: {line}")


def renew_index(project: Project) -> None:
    """Write the page anew, if there is one, after a command that changed what it says."""
    from ductaflow_runtime.status_page.build import PAGE_FILE

    if project.settings.page and (project.runs_dir / PAGE_FILE).is_file():
        write_index(project)


def write_index(project: Project) -> Path:
    """Write the page of all instances."""
    from ductaflow_runtime.conductor.project_staleness import staleness_of
    from ductaflow_runtime.status_page.build import write_page

    if not project.runs_dir.is_dir():
        raise DuctaflowError(f"there are no results yet: {project.runs_dir} does not exist")
    return write_page(project.runs_dir, title=project.title, staleness=staleness_of(project))


def make_pages(runs_dir: Path, step: str, show_code: bool) -> tuple[int, list[str]]:
    """Write a page from each stored notebook of a step; the count, and the instances that have none."""
    import nbformat

    from ductaflow_runtime.flow.notebook import read_executed
    from ductaflow_runtime.html_export.export import export_page, require_extra

    require_extra()
    names = list_instances(runs_dir, check_name(step, "step name"))
    if not names:
        raise DuctaflowError(f"{runs_dir / step} holds no instances")
    made, left_out = 0, []
    for name in names:
        try:
            record = read_record(runs_dir / step / name)
        except RecordError as error:
            left_out.append(f"{name} ({error})")
            continue
        if record is None or not os.path.isfile(record.notebook):
            left_out.append(f"{name} (no notebook)")
            continue
        try:
            stored = read_executed(record.notebook)
        except (OSError, ValueError, nbformat.ValidationError) as error:
            left_out.append(f"{name} (its notebook cannot be read: {error})")
            continue
        export_page(stored, record.html, show_code=show_code)
        made += 1
    return made, left_out


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
def debug(run_dir: Path) -> None:
    """Open the flow of RUN_DIR (runs/STEP/NAME, or STEP/NAME) with that instance's config, the failing cell marked."""
    from ductaflow_runtime.debug import make_debug_notebook, open_case, open_command, told

    path = make_debug_notebook(run_dir)
    command = open_command(path)
    for line in told(open_case(run_dir)):
        echo(line)
    echo(path)
    if command and sys.stdout.isatty():
        subprocess.run(command, check=False)
    else:
        echo(f"open it with: {shlex.join(command or ['jupyter', 'lab', str(path)])}")

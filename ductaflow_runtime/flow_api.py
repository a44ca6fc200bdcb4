"""What a flow calls: which mode it runs in, its config, its paths, its results.

In an interactive notebook nothing is injected, and the CLI block does not run. So the first question that
every flow asks, `is_notebook_execution()`, is also where an empty `config` is filled from the default that
the CLI block names.
"""

from __future__ import annotations

import ast
import json
import linecache
import numbers
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.former_arguments import names_todays_arguments
from ductaflow_runtime.config.secrets import known_mask, resolved
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import ConfigError, FlowFileError, ProjectError
from ductaflow_runtime.errors.wording import type_name
from ductaflow_runtime.execution.context import aside, current, current_tracker, in_kernel
from ductaflow_runtime.execution.masking import refuse_secrets
from ductaflow_runtime.execution.saved_results import clean_results, given_results
from ductaflow_runtime.execution.saved_tables import shown, split_tables, store_tables
from ductaflow_runtime.project import Project, find_root, path_text, set_import_path
from ductaflow_runtime.runs.instance import as_name, check_name

if TYPE_CHECKING:
    from types import FrameType

_LONGEST_SHOWN = 200


def is_notebook_execution() -> bool:
    """Whether this flow runs as a notebook: in a Jupyter, VS Code or IPython kernel, or from the conductor.

    False for `python flow/x.py`. In an interactive notebook the project becomes importable from here on,
    and a `config` that is still empty is filled from the default config named in the same cell.
    """
    running = current()
    if running is not None:
        return not running.script
    if not in_kernel():
        return False
    _prepare_opened_flow(sys._getframe(1))
    return True


@names_todays_arguments
def load_cli_config(default_config: str | os.PathLike[str], description: str = "") -> Config:
    """The config of a flow that runs as a script, from `--config`, `--output-dir` and `--set a.b=JSON`.

    `default_config` is relative to the project root, paths typed on the command line to the caller's
    directory. With `--output-dir` the script works in that directory and leaves `config.json`, `run.log` and
    `run.json` there; without, it works in its own folder. A wrong argument or config ends the script with
    exit code 2 and a message.
    """
    from ductaflow_runtime.execution.script import enter_script

    caller = sys._getframe(2)  # past what looks at the arguments' names
    return enter_script(default_config, description, caller.f_code.co_filename)


def load_cli_parameters(description: str = "") -> None:
    """Give a flow whose parameters are variables those of `--config` and `--set`, where it runs as a script.

    Called below the parameters cell, whose values are the defaults. Takes the arguments of `load_cli_config`, and ends
    the script likewise if one is wrong. In a notebook it changes nothing: there the variables are injected, or what
    they are in the parameters cell. Raises `FlowFileError` where it is not the flow itself that calls.
    """
    frame = sys._getframe(1)
    if frame.f_globals.get("__name__") not in ("__main__", "__mp_main__"):
        raise FlowFileError(
            f"{frame.f_code.co_filename} calls load_cli_parameters(), which sets variables where it is called: "
            "call it in the flow itself, below its parameters cell"
        )
    running = current()
    if running is None and in_kernel():
        _prepare_opened_flow(frame)
    elif running is None:
        from ductaflow_runtime.execution.script import enter_script

        frame.f_globals.update(enter_script(None, description, frame.f_code.co_filename))


def project_path(*parts: str | os.PathLike[str]) -> Path:
    """An absolute path under the project root, the same however the flow is run.

    A file that exists counts as an input of the running instance. Raises `ProjectError` for a path that
    leaves the project.
    """
    running = current()
    root = running.root if running is not None else find_root()
    return _as_input(_below(root, parts, "the project"))


def instance_path(step: str, instance_name: str, *parts: str | os.PathLike[str]) -> Path:
    """An absolute path in another instance's folder, `runs/{step}/{instance_name}/...`.

    A file that exists counts as an input of the running instance, so that it runs again when the other
    instance's file changes. Raises `ConfigError` for a name that cannot be a folder.
    """
    running = current()
    with aside():
        runs_dir = running.runs_dir if running is not None else Project.find().runs_dir
    is_number = isinstance(instance_name, numbers.Real) and not isinstance(instance_name, bool)
    name = check_name(str(instance_name) if is_number else as_name(instance_name))
    folder = runs_dir / check_name(step, "step name") / name
    return _as_input(_below(folder, parts, f"instance {step}/{name}"))


def save_results(*results: Mapping[str, Any], **named: object) -> None:
    """Store named results of this instance in its record: `save_results(cost=12.5)`, or one dict of them.

    A value is a number, a text, true, false, null, a list of these, or a dict, whose entries become results with
    dotted names: `save_results(cost={"toll": 2})` saves `cost.toll`. numpy and pandas scalars and dates are
    converted as in a config, arrays become lists. NaN and the infinities are kept. A name saved twice keeps the last
    value. A pandas DataFrame becomes a table, a file in the instance's folder that `load_results(step, table=name)`
    reads; up to 250,000 cells, its index as columns unless that only counts the rows. Raises `ConfigError`, which names
    every value that cannot be stored. In an interactive notebook, and in a script without `--output-dir`, there is no
    record: the values are checked and shown.
    """
    running = current()
    saved = running.results if running is not None else {}
    given = given_results(results, named)
    values, tables = split_tables(given)
    clean = clean_results(values, before=saved)
    if running is not None:
        refuse_secrets({**given, **clean})
    if running is not None:
        store_tables(running, clean, tables)
        saved.update(clean)
        return
    for line in (*(f"result {name} = {value}" for name, value in flatten(clean).items()), *shown(tables)):
        print(line)  # noqa: T201 - shown where the analyst is looking


@names_todays_arguments
def display_config_summary(config: dict[str, Any], title: str = "") -> None:
    """Show a config, nested keys dotted: as a table in a notebook, as aligned text in a terminal."""
    if not isinstance(config, dict):
        raise ConfigError(f"display_config_summary shows a config, a dict, not {type_name(config)}")
    mask = known_mask()
    rows = [(mask.text(key), _shown(mask.value(value))) for key, value in flatten(config).items()]
    width = max((len(key) for key, _ in rows), default=0)
    lines = [title or "Config", *(f"  {key:<{width}}  {value}" for key, value in rows)]
    text = "\n".join(lines if rows else [*lines, "  (empty)"])
    running = current()
    if not (in_kernel() if running is None else not running.script):
        print(text)  # noqa: T201
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": _table(title, rows)}, raw=True)


def _prepare_opened_flow(frame: FrameType) -> None:
    """Make the project importable in an interactive notebook, and fill a `config` that is still empty."""
    root = find_root()
    set_import_path(_flow_folder(frame.f_globals, root), root)
    config = frame.f_globals.get("config")
    if config != {} or not isinstance(config, dict):
        return
    default = _default_named_in(frame.f_code.co_filename)
    if default is None:
        return
    config.update(resolved(read_config_file(root / default)))
    print(f"config: {default} (opened as a notebook, nothing injected)")  # noqa: T201


def _default_named_in(filename: str) -> str | None:
    """The default config in the source of a cell; IPython keeps each cell's lines in `linecache`."""
    from ductaflow_runtime.flow.syntax import default_config_in

    try:
        return default_config_in(ast.parse("".join(linecache.getlines(filename))))
    except SyntaxError:
        return None


def _flow_folder(names: dict[str, Any], root: Path) -> Path:
    """Where the opened flow lies: as the editor says, else the working directory, else `flow/`."""
    for name in ("__vsc_ipynb_file__", "__session__"):
        told = names.get(name)
        if isinstance(told, str) and Path(told).is_absolute() and Path(told).parent.is_dir():
            return Path(told).parent
    here = Path.cwd()
    return root / "flow" if here == root and (root / "flow").is_dir() else here


def _below(folder: Path, parts: tuple[str | os.PathLike[str], ...], what: str) -> Path:
    given = [path_text(part, f"a part of a path in {what}") for part in parts]
    path = Path(os.path.normpath(folder.joinpath(*given)))
    if path != folder and folder not in path.parents:
        raise ProjectError(f"{'/'.join(given)} lies outside {what} ({folder})")
    return path


def _as_input(path: Path) -> Path:
    tracker = current_tracker()
    if tracker is not None:
        tracker.name(path, in_call=True)
    return path


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    import html

    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(key)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for key, value in rows
    )
    caption = f'<caption style="text-align:left"><b>{html.escape(title or "Config")}</b></caption>'
    return f"<table>{caption}<tbody>{cells}</tbody></table>"

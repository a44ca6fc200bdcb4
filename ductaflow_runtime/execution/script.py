"""A flow run as a script: `python flow/x.py --config c.json --output-dir d`, its arguments and where it works.

With an output directory the script's run counts like any other (`script_run`). Without one the script runs
in its own folder and leaves no record.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.config.secrets import resolved
from ductaflow_runtime.config.texts import apply_settings
from ductaflow_runtime.config.values import Config
from ductaflow_runtime.errors import ConfigError, DuctaflowError, FlowFileError
from ductaflow_runtime.execution.script_reads import check_imported, is_child, pause_watching
from ductaflow_runtime.execution.script_text import check_order, read_script
from ductaflow_runtime.files import relative_to_root
from ductaflow_runtime.flow.analysis import analyse, loads_config_in_vain
from ductaflow_runtime.parameters.expected import expect
from ductaflow_runtime.parameters.gate import admit
from ductaflow_runtime.parameters.keys import FlowKeys
from ductaflow_runtime.project import Project, find_root, set_import_path

Default = str | os.PathLike[str] | None


def enter_script(default_config: Default, description: str, caller: str) -> Config:
    """Read the arguments, go to where the script works, and give its config; a wrong argument ends the script.

    With `default_config` `None` the flow's parameters are variables, which have their defaults in the parameters cell.
    `caller` is the file that asks for the config: the flow itself, or a module that does it for the flow.
    """
    pause_watching()
    parser = _parser(default_config, description)
    given = parser.parse_args()
    flow = _script()
    root = find_root()
    try:
        if not is_child():
            _check_way(flow, root, as_config=default_config is not None)
            if Path(caller).resolve() == flow:
                check_order(read_script(flow), as_config=default_config is not None)
        default = None if default_config is None else root / default_config
        path = Path.cwd() / given.config if given.config else default
        config = apply_settings(read_config_file(path) if path is not None else {}, given.set)
        set_import_path(flow.parent, root)
        given_config = resolved(config)
        if is_child():
            return given_config
        if given.config or given.set:
            _check(flow, root, config, default_config, asked_by=Path(caller).resolve())
        check_imported(root)
        if given.output_dir is None:
            _check_not_in_instance(flow, root)
            os.chdir(flow.parent)
        else:
            from ductaflow_runtime.execution.script_run import begin_script_run

            begin_script_run(read_script(flow), root, config, Path(os.path.normpath(Path.cwd() / given.output_dir)))
    except DuctaflowError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return given_config


def _check_not_in_instance(flow: Path, root: Path) -> None:
    """Refuse a call from an instance's folder that does not say where to write: several would write to one place."""
    here = Path.cwd()
    if here.parent.parent == Project.at(root).runs_dir.resolve():
        raise ConfigError(
            f"called in {relative_to_root(here, root)}, the folder of an instance, without --output-dir: the results "
            f"would not go there but to {relative_to_root(flow.parent, root)}/, as those of every such call do. Add "
            "--output-dir . to have them there"
        )


def _check(flow: Path, root: Path, config: Config, default_config: Default, *, asked_by: Path) -> None:
    """Refuse what the flow does not read; the default config alone is always right.

    A script is given its config by a call, parameters cell or not. Where a module makes that call, or gives `config` to
    a flow of variables, what the script does with its config is not seen: then nothing is refused.
    """
    try:
        keys = _keys_of(flow, root)
    except FlowFileError:
        return  # whatever the script is, nothing is known of what it reads
    default = None if default_config is None else os.fspath(default_config)
    unknown_keys = Project.at(root).settings.unknown_keys
    expected = expect(flow, root, keys, default_config=default, base=None, unknown_keys=unknown_keys)
    in_doubt = asked_by != flow or (default is not None and not keys.takes_config)
    as_script = replace(keys, has_cell=True, is_python=default is None)
    admit(replace(expected, keys=as_script, in_doubt=in_doubt), config)


def _keys_of(flow: Path, root: Path) -> FlowKeys:
    return analyse(flow, Project.at(root).flow_cache, keep=False).keys


def _parser(default_config: Default, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description or None)
    default = "the values in the parameters cell" if default_config is None else os.fspath(default_config)
    parser.add_argument("--config", metavar="FILE", help=f"config: .json, .yaml or .toml (default: {default})")
    parser.add_argument("--output-dir", metavar="DIR", help="folder for results, e.g. runs/my_step/my_run")
    parser.add_argument(
        "--set", metavar="KEY=JSON", action="append", default=[], help="change one value, e.g. --set a.b=3"
    )
    return parser


def _script() -> Path:
    main = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0]
    return Path(main).resolve()


def _check_way(flow: Path, root: Path, *, as_config: bool) -> None:
    """Refuse a script that asks for its parameters otherwise than a notebook is given them: they would not arrive."""
    if as_config:
        if isinstance(vars(sys.modules["__main__"]).get("config"), dict):
            return  # assigned above the CLI cell, as nearly always: the flow's text need not be read for that
        if loads_config_in_vain(flow):
            raise FlowFileError(
                f"the parameters cell of {flow} assigns variables, and nothing reads the `config` that load_cli_config "
                "gives: write load_cli_parameters() in place of the lines with load_cli_config"
            )
    elif _keys_of(flow, root).takes_config:
        raise FlowFileError(
            f"{flow} is given its parameters in `config`, so load_cli_parameters() would set variables that a notebook "
            "does not get: write config = load_cli_config(...), or take `config` out of the flow"
        )

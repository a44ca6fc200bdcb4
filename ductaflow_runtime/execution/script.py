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

from ductaflow_runtime.config.border import Config, apply_settings
from ductaflow_runtime.config.files import read_config_file
from ductaflow_runtime.errors import DuctaflowError, FlowFileError
from ductaflow_runtime.flow import analyse
from ductaflow_runtime.parameters.gate import admit, expect
from ductaflow_runtime.project import Project, find_root, set_import_path


def enter_script(default_config: str | os.PathLike[str], description: str, caller: str) -> Config:
    """Read the arguments, go to where the script works, and give its config; a wrong argument ends the script.

    `caller` is the file that asks for the config: the flow itself, or a module that does it for the flow.
    """
    parser = _parser(default_config, description)
    given = parser.parse_args()
    flow = _script()
    root = find_root()
    try:
        path = Path.cwd() / given.config if given.config else root / default_config
        config = apply_settings(read_config_file(path), given.set)
        set_import_path(flow.parent, root)
        if _is_child():
            return config
        if given.config or given.set:
            _check(flow, root, config, os.fspath(default_config), asked_by=Path(caller).resolve())
        if given.output_dir is None:
            os.chdir(flow.parent)
        else:
            from ductaflow_runtime.execution.script_run import begin_script_run

            begin_script_run(flow, root, config, Path(os.path.normpath(Path.cwd() / given.output_dir)))
    except DuctaflowError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return config


def _check(flow: Path, root: Path, config: Config, default_config: str, *, asked_by: Path) -> None:
    """Refuse what the flow does not read; the default config alone is always right.

    A script is given its config by a call, parameters cell or not. Where a module makes that call, or the flow takes
    variables when it is run as a notebook, what the script does with its config is not seen: then nothing is refused.
    """
    project = Project.at(root)
    try:
        keys = analyse(flow, project.flow_cache, keep=False).keys
    except FlowFileError:
        return  # whatever the script is, nothing is known of what it reads
    unknown_keys = project.settings.unknown_keys
    expected = expect(flow, root, keys, default_config=default_config, base=None, unknown_keys=unknown_keys)
    in_doubt = asked_by != flow or not keys.takes_config
    admit(replace(expected, keys=replace(keys, has_cell=True, is_python=False), in_doubt=in_doubt), config)


def _parser(default_config: str | os.PathLike[str], description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description or None)
    default = os.fspath(default_config)
    parser.add_argument("--config", metavar="FILE", help=f"config: .json, .yaml or .toml (default: {default})")
    parser.add_argument("--output-dir", metavar="DIR", help="folder for results, e.g. runs/my_step/my_run")
    parser.add_argument(
        "--set", metavar="KEY=JSON", action="append", default=[], help="change one value, e.g. --set a.b=3"
    )
    return parser


def _script() -> Path:
    main = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0]
    return Path(main).resolve()


def _is_child() -> bool:
    """Whether `multiprocessing` imports the script again in a process of its own."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None

"""A script that asks for its parameters at another place than a notebook is given them computes something else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ductaflow import run_notebook
from tests.conftest import Project

VARIABLES = '# %% tags=["parameters"]\nalpha = 0.1\n'
CONFIG = '# %% tags=["parameters"]\nconfig = {"alpha": 0.1}\n'
ASKS = "# %%\nfrom ductaflow import load_cli_parameters\nload_cli_parameters()\n"
LOADS = (
    "# %%\nfrom ductaflow import is_notebook_execution, load_cli_config\n"
    'if not is_notebook_execution():\n    config = load_cli_config("config/base.json")\n'
)
SAVE = "# %%\nfrom ductaflow import save_results\n"
SAVE_ALPHA = f"{SAVE}save_results(alpha=alpha)\n"
SAVE_KEY = f'{SAVE}save_results(alpha=config["alpha"])\n'


def script(project: Project, text: str) -> subprocess.CompletedProcess[str]:
    """Run a flow of that text as a script that is given `alpha`."""
    project.write("config/base.json", '{"alpha": 0.1}')
    project.write("flow/step.py", text)
    command = [sys.executable, "flow/step.py", "--set", "alpha=0.7", "--output-dir", "runs/step/a"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            ASKS + VARIABLES + SAVE_ALPHA,
            "step.py:5 assigns `alpha` anew, below the call of load_cli_parameters in line 3",
        ),
        (LOADS + CONFIG + SAVE_KEY, "step.py:6 assigns `config` anew, below the call of load_cli_config in line 4"),
        (
            VARIABLES + "# %%\ntwice = alpha * 2\n" + ASKS + SAVE_ALPHA,
            "step.py:4 computes with `alpha` above the call of load_cli_parameters in line 7",
        ),
        (
            CONFIG + '# %%\nalpha = config.get("alpha", 0.1)\n' + LOADS + SAVE_ALPHA,
            "step.py:4 computes with `config` above the call of load_cli_config in line 8",
        ),
        (
            CONFIG + '# %%\ndef share():\n    return config["alpha"]\n\n\nalpha = share()\n' + LOADS + SAVE_ALPHA,
            "step.py:8 computes with `config` above",
        ),
        (
            CONFIG + '# %%\nif config["alpha"] < 1:\n    alpha = 1\n' + LOADS + SAVE_KEY,
            "step.py:4 computes with `config`",
        ),
        (CONFIG + "# %%\nfor alpha in config.values():\n    pass\n" + LOADS + SAVE_ALPHA, "step.py:4 computes with"),
        (
            VARIABLES
            + "# %%\nfrom ductaflow import load_cli_parameters\nx = alpha\nload_cli_parameters()\n"
            + SAVE_ALPHA,
            "step.py:5 computes with `alpha` above the call of load_cli_parameters in line 6",
        ),
    ],
)
def test_a_script_that_would_compute_with_a_default_ends(project: Project, text: str, told: str) -> None:
    """Exit code 2 with the two lines and where the call belongs, before anything is computed; there is no record."""
    ended = script(project, text)
    assert ended.returncode == 2, ended.stdout
    assert told in ended.stderr
    assert "right below the parameters cell" in ended.stderr
    assert not (project.root / "runs/step").exists()


@pytest.mark.parametrize(
    "text",
    [
        CONFIG + "# %%\nimport os\nprint(config)\nconfig\nassert config\n" + LOADS + SAVE_KEY,
        CONFIG + '# %%\ndef share():\n    return config["alpha"]\n' + LOADS + f"{SAVE}save_results(alpha=share())\n",
        CONFIG + "# %%\nif not config:\n    raise ValueError\n" + LOADS + SAVE_KEY,
        CONFIG + LOADS.replace("config = load", "config = config | load") + SAVE_KEY,
        CONFIG.replace("config =", "config: dict =")
        + "# %%\ndoubled = [config for config in (1, 2)]\n"
        + LOADS
        + SAVE_KEY,
        LOADS + '# %% tags=["parameters"]\nconfig = config or {}\n' + SAVE_KEY,
        LOADS + '# %% tags=["parameters"]\n# nothing\n' + SAVE_KEY,
        LOADS.replace("config = load", "mine = load")
        + '# %% tags=["parameters"]\nconfig = {}\n'
        + "# %%\nif not is_notebook_execution():\n    config = mine\n"
        + SAVE_KEY,
        VARIABLES + "# %%\nprint(alpha)\n" + ASKS + SAVE_ALPHA,
        VARIABLES + "text = '''\n# %%\n'''\nbeta = alpha\n" + ASKS + SAVE_ALPHA,
        '# %% tags=["parameters"]\nconfig = {"alpha": 0.1}\nfrom ductaflow import load_cli_config\n'
        'config = load_cli_config("config/base.json")\n' + SAVE_KEY,
    ],
)
def test_what_gives_the_same_runs(project: Project, text: str) -> None:
    """Where the value that is given arrives, nothing is refused."""
    ended = script(project, text)
    assert ended.returncode == 0, ended.stderr
    assert project.record("step", "a")["results"] == {"alpha": 0.7}


def test_an_order_that_is_right_gives_what_a_sweep_gives(project: Project) -> None:
    """The script's record is up to date for the conductor, which finds nothing else when forced."""
    assert script(project, CONFIG + LOADS + SAVE_KEY).returncode == 0
    assert run_notebook("flow/step.py", {"alpha": 0.7}, instance_name="a").skipped
    again = run_notebook("flow/step.py", {"alpha": 0.7}, instance_name="a", force=True)
    assert again.results == {"alpha": 0.7}

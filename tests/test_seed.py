"""The calls of the project's first description keep working as they were written there.

The description itself (`seed.md`) lies beside the repository of its authors; where it is absent, its blocks are
skipped, and the tests below that need no such file cover the same calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ductaflow import load_results, run_notebook, run_step_flow
from tests.conftest import Project
from tests.kernels import run_cells
from tests.markdown_pages import ROOT, Block, blocks_of, run_command, run_python, with_our_python
from tests.waiting import LAST_CHANCE_S

SEED = ROOT.parent / "shared" / "seed.md"
needs_seed = pytest.mark.skipif(not SEED.is_file(), reason="seed.md is not beside this checkout")
NETWORKS = {"network_base": "NET_2024", "network_new": "NET_2025"}

# The description's flow asks for two networks; its loop over subprocesses gives other keys. This flow takes both.
TOLERANT = """
# %% tags=["parameters"]
config = {}

# %%
from ductaflow import is_notebook_execution, load_cli_config

if not is_notebook_execution():
    config = load_cli_config('config/base.json', 'Run my analysis')

# %%
from pathlib import Path
from ductaflow import save_results
Path("param1.txt").write_text(str(config.get("param1")), encoding="utf-8")
save_results(param1=config.get("param1"), network=config.get("network_base"))
"""


def seed_block(containing: str, language: str = "python") -> Block:
    """The one block of the description with this text in it."""
    found = [b for b in blocks_of(SEED) if containing in b.text and b.language == language]
    assert len(found) == 1, f"{len(found)} blocks hold {containing!r}"
    return found[0]


def seed_flow() -> str:
    """The flow that the section "Flow Structure" builds, cell by cell, as written."""
    starts = ["# %% tags=", "# %% CLI Mode", "# %%\nfrom ductaflow import display", "# %%\n# Config variables"]
    return "\n".join(seed_block(start).text for start in starts)


def write_configs(project: Project) -> None:
    """The configs that the description names."""
    for name in ("base", "my_config", "experiment_1"):
        project.write(f"config/{name}.json", json.dumps(NETWORKS | {"network_new": name}))


@pytest.fixture
def seeded(project: Project) -> Project:
    """A project with the description's flow and configs."""
    project.write("flow/my_analysis.py", seed_flow())
    write_configs(project)
    return project


def seed_commands(containing: str) -> list[list[str]]:
    """The commands of a `bash` block that run a flow."""
    return [words for words in seed_block(containing, "bash").commands if words[0] == "python"]


def log_of(project: Project, step: str, name: str) -> str:
    """What an instance printed."""
    return (project.root / "runs" / step / name / "run.log").read_text(encoding="utf-8")


@needs_seed
@pytest.mark.parametrize("block", blocks_of(SEED) if SEED.is_file() else [], ids=lambda b: f"line-{b.line}")
def test_every_block_of_the_description_is_covered(block: Block) -> None:
    """No block of the description is forgotten: each is run below, or cannot be run here."""
    covered = [
        "pip install -e .",  # in `make wheel-check`
        "your_project/",  # test_the_template_has_the_folders_of_the_description
        "# Open conductor.py as notebook",  # test_the_flow_opens_as_a_notebook
        "python flow/my_analysis.py --config",
        "subprocess.run([",
        "control_df = pd.DataFrame",
        "# %%",
        "code flow/my_analysis.py",  # opens an editor
        "run_step_flow(",
    ]
    assert any(text in block.text for text in covered)


@needs_seed
def test_the_names_of_the_quick_setup_can_be_imported() -> None:
    """The import line of the quick setup works."""
    lines = seed_block("# Use in any notebook/script", "bash").text.splitlines()
    exec(next(line for line in lines if "import" in line), {})


@needs_seed
def test_the_template_has_the_folders_of_the_description() -> None:
    """A generated project has the structure that the description draws."""
    (tree,) = [block.text for block in blocks_of(SEED) if "your_project/" in block.text]
    for name in ("flow", "runs", "config"):
        assert f"{name}/" in tree
        assert (ROOT / "template" / name).is_dir()
    assert any("conductor.py" in path.name for path in (ROOT / "template").iterdir())


@needs_seed
def test_the_flow_runs_as_a_script_with_an_output_directory(seeded: Project) -> None:
    """The command of the CLI mode leaves an instance with config, log and record."""
    (words,) = seed_commands("--output-dir runs/analysis/my_run")
    run_command(words, seeded.root)
    record = seeded.record("analysis", "my_run")
    assert record["status"] == "done"
    assert record["fingerprint"]["config"]["network_new"] == "my_config"
    assert "Processing NET_2024 → my_config" in log_of(seeded, "analysis", "my_run")


@needs_seed
def test_the_flow_runs_as_a_script_in_its_own_folder(seeded: Project) -> None:
    """Both commands under "CLI Mode (Script)" work; only the one with an output directory leaves a record."""
    plain, with_folder = seed_commands("# Basic CLI execution")
    assert "Processing NET_2024 → experiment_1" in run_command(plain, seeded.root).stdout
    assert not (seeded.root / "runs").exists()
    run_command(with_folder, seeded.root)
    assert seeded.record("analysis", "experiment_1")["status"] == "done"


@needs_seed
def test_the_loop_over_subprocesses_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pure Python conductor runs, and its instances count like any other."""
    project.write("flow/my_analysis.py", TOLERANT)
    monkeypatch.setenv("PATH", with_our_python()["PATH"])
    run_python(seed_block("subprocess.run(["), {})
    results = load_results("analysis").set_index("instance_name")
    assert results["status"].to_dict() == {"test_A": "done", "test_B": "done"}
    assert results["result.param1"].to_dict() == {"test_A": 100, "test_B": 200}


@needs_seed
def test_the_loop_over_the_control_dataframe_and_the_single_call_run(seeded: Project) -> None:
    """Loop and `run_step_flow` run one after the other, as the cells of one notebook, and again run nothing."""
    seeded.write("flow/network_analysis.py", seed_flow())
    names: dict[str, Any] = {"pd": pd, "run_notebook": run_notebook}
    run_python(seed_block("control_df = pd.DataFrame"), names)
    results = load_results("network_analysis")
    assert results["status"].tolist() == ["done"] * 3
    assert sorted(results["processing_params.param1"]) == [100, 150, 200]
    assert results["processing_params.param1"].dtype == "int64"

    run_python(seed_block("run_step_flow("), names)
    record = seeded.record("analysis", "experiment_1")
    assert record["fingerprint"]["config"] == names["config"]
    before = load_results().set_index("instance_name")["duration_s"].to_dict()
    run_python(seed_block("control_df = pd.DataFrame"), names)
    run_python(seed_block("run_step_flow("), names)
    assert load_results().set_index("instance_name")["duration_s"].to_dict() == before


@needs_seed
@pytest.mark.slow
def test_the_flow_opens_as_a_notebook(seeded: Project) -> None:
    """Opened by hand in a real kernel, with nothing injected, the cells run on the default config."""
    notebook = run_by_hand(seeded.root / "flow" / "my_analysis.py")
    printed = "".join(output.get("text", "") for cell in notebook["cells"] for output in cell.get("outputs", []))
    assert "Processing NET_2024 → base" in printed


def run_by_hand(flow: Path) -> Any:
    """Execute a flow's cells in a Jupyter kernel, as an editor does."""
    import jupytext

    return run_cells(jupytext.read(flow), flow.parent, kernel_name="python3", timeout=LAST_CHANCE_S)


def test_a_loop_over_run_notebook(project: Project) -> None:
    """Rows of a frame, built into nested configs, run one by one; numpy values arrive as plain ones."""
    project.write("flow/my_analysis.py", TOLERANT)
    control_df = pd.DataFrame({"network_base": ["A", "B"], "param1": [100, 200]})
    for i in range(len(control_df)):
        row = control_df.iloc[i]
        config = {"network_base": row["network_base"], "param1": row["param1"]}
        run_notebook(notebook_file="flow/my_analysis.py", config=config)
    results = load_results("my_analysis").sort_values("result.param1")
    assert results["result.param1"].tolist() == [100, 200]
    assert results["result.network"].tolist() == ["A", "B"]


def test_script_and_call_leave_the_same_outputs(project: Project) -> None:
    """A flow run as a script and by `run_step_flow` writes the same bytes and the same config."""
    project.write("flow/my_analysis.py", TOLERANT)
    config = {"param1": 7, "network_base": "A"}
    project.write("config/seven.json", json.dumps(config))
    called = run_step_flow(
        notebook_file="flow/my_analysis.py", step_name="analysis", instance_name="called", config=config
    )
    words = ["python", "flow/my_analysis.py", "--config", "config/seven.json"]
    run_command([*words, "--output-dir", "runs/analysis/script"], project.root)
    script = project.root / "runs" / "analysis" / "script"
    for name in ("param1.txt", "config.json"):
        assert (script / name).read_bytes() == (called.directory / name).read_bytes()
    assert project.record("analysis", "script")["results"] == called.results

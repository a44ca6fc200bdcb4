"""`ductaflow debug`: a failed instance as a notebook that fails in the same place."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import run_instances
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.debug import make_debug_notebook, open_command
from ductaflow_runtime.errors import ConfigError, DuctaflowError, FlowFileError, RecordError
from tests.kernels import run_cells

HELPER = "def per_lane(flow, lanes):\n    return flow / lanes\n"
FLOW = """# %% [markdown]
# # Load per lane

# %% tags=["parameters"]
config = {}

# %% CLI
from ductaflow import instance_path, is_notebook_execution, load_cli_config, project_path

if not is_notebook_execution():
    config = load_cli_config("config/load.json", "Load per lane")

# %%
from helper import per_lane

limit = float(project_path("data", "limit.txt").read_text())
flow = float(instance_path("volume", "base", "volume.txt").read_text())

# %%
load = per_lane(flow, config["lanes"])
open("load.txt", "w").write(str(min(load, limit)))
"""
VOLUME = '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nopen("volume.txt", "w").write("1200")\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "pyproject.toml": "",
        "flow/load.py": FLOW,
        "flow/helper.py": HELPER,
        "flow/volume.py": VOLUME,
        "data/limit.txt": "900",
        "config/load.json": '{"lanes": 1}',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    run_instances(pd.DataFrame({"instance_name": ["base"]}), "flow/volume.py", workers=1)
    return tmp_path


def sweep() -> pd.DataFrame:
    rows = pd.DataFrame({"instance_name": ["two", "none"], "lanes": [2, 0]})
    return run_instances(rows, "flow/load.py", workers=1, on_error="continue")


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ductaflow" not in path.parts
    }


def cells(path: Path) -> list[Any]:
    return list(nbformat.read(path, as_version=4).cells)


def position(found: list[Any], cell_id: str) -> int:
    return next(index for index, cell in enumerate(found) if cell["id"] == cell_id)


def run_on_kernel(path: Path) -> Any:
    return run_cells(nbformat.read(path, as_version=4), path.parent, allow_errors=True)


def test_notebook_has_config_and_marks_the_failing_cell(project: Path) -> None:
    """The notebook holds the flow, the instance's config after the parameters, and a mark at the failure."""
    sweep()
    before = tree(project / "runs")
    path = make_debug_notebook("runs/load/none")
    found = cells(path)
    parameters = next(i for i, cell in enumerate(found) if "parameters" in cell.metadata.get("tags", []))
    assert 'config = {"lanes": 0}' in found[parameters + 1].source
    mark = position(found, "ductaflow-failed")
    assert "    ZeroDivisionError: float division by zero" in found[mark].source
    assert found[mark + 1].source.startswith("load = per_lane")
    assert tree(project / "runs") == before
    assert project in path.parents
    assert project / "runs" not in path.parents


def test_each_call_makes_a_clean_folder_that_git_ignores(project: Path) -> None:
    """What was tried before is kept, and none of it shows up in git."""
    sweep()
    first = make_debug_notebook("runs/load/none")
    (first.parent / "tried.txt").write_text("x")
    second = make_debug_notebook("load/none")
    assert [path.name for path in second.parent.iterdir()] == ["load.ipynb"]
    assert (first.parent / "tried.txt").is_file()
    assert (project / "ductaflow-debug" / ".gitignore").read_text() == "*\n"


def test_what_is_no_file_stays_behind(project: Path) -> None:
    """A link that leads nowhere, and a pipe, are not taken along; other files are."""
    sweep()
    folder = project / "runs/load/none"
    (folder / "latest").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / "notes.txt").write_text("mine")
    path = make_debug_notebook(folder)
    assert sorted(each.name for each in path.parent.iterdir()) == ["load.ipynb", "notes.txt"]


def test_mark_follows_the_cell_when_the_flow_has_changed(project: Path) -> None:
    """A cell added since the run does not shift the mark to a wrong cell."""
    sweep()
    flow = project / "flow/load.py"
    flow.write_text(FLOW.replace("# %%\nfrom helper", "# %%\nprint('looking')\n\n# %%\nfrom helper"))
    found = cells(make_debug_notebook("runs/load/none"))
    assert found[position(found, "ductaflow-failed") + 1].source.startswith("load = per_lane")
    flow.write_text(FLOW.replace("load = per_lane", "# %%\nload = 1 +  per_lane"))
    found = cells(make_debug_notebook("runs/load/none"))
    assert "cell 4, which has changed since then" in found[0].source
    assert not any(cell["id"] == "ductaflow-failed" for cell in found)


def test_error_message_stays_text(project: Path) -> None:
    """Markdown and HTML in an error message are shown, not interpreted."""
    (project / "flow/load.py").write_text(
        '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nconfig.get("lanes")\nraise ValueError("# <b>```\\n# two")\n'
    )
    sweep()
    found = cells(make_debug_notebook("runs/load/none"))
    mark = found[position(found, "ductaflow-failed")].source
    assert mark.endswith("\n\n    ValueError: # <b>```\n    # two")


def test_instance_that_did_not_fail_has_no_mark(project: Path) -> None:
    """Any instance can be opened; one that ended well says so."""
    sweep()
    found = cells(make_debug_notebook("runs/load/two"))
    assert "ended well" in found[0].source
    assert not any(cell["id"] == "ductaflow-failed" for cell in found)


def test_other_peoples_files_come_along(project: Path) -> None:
    """A file that somebody laid into the instance's folder is there for the flow to read."""
    sweep()
    (project / "runs/load/none/by_hand.csv").write_text("a\n1\n")
    path = make_debug_notebook("runs/load/none")
    assert (path.parent / "by_hand.csv").read_text() == "a\n1\n"


def test_what_is_no_instance_is_refused(project: Path) -> None:
    """A path that is no instance, or one whose files are damaged, is one clear error."""
    sweep()
    with pytest.raises(DuctaflowError, match="is not a folder"):
        make_debug_notebook("runs/load/nobody")
    with pytest.raises(DuctaflowError, match=r"holds no run\.json"):
        make_debug_notebook("runs/load")
    (project / "runs/load/two/config.json").unlink()
    with pytest.raises(ConfigError, match="not found"):
        make_debug_notebook("runs/load/two")
    (project / "runs/load/two/run.json").write_text("{")
    with pytest.raises(RecordError, match="not valid JSON"):
        make_debug_notebook("runs/load/two")
    (project / "flow/load.py").unlink()
    with pytest.raises(FlowFileError, match="flow not found"):
        make_debug_notebook("runs/load/none")
    assert not (project / "ductaflow-debug").exists()


def test_command_prints_notebook_and_how_to_open_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ductaflow debug` works from a folder below the root and, without a terminal, opens nothing."""
    sweep()
    monkeypatch.chdir(project / "flow")
    result = CliRunner().invoke(main, ["debug", "runs/load/none"])
    assert result.exit_code == 0, result.output
    *told, path, how = result.output.splitlines()
    assert told == [
        "load/none: its last run failed: ZeroDivisionError: float division by zero (cell 4)",
        '  flow/load.py:20: load = per_lane(flow, config["lanes"])',
        "given:",
        "  lanes  0",
    ]
    assert Path(path).is_file()
    assert how.startswith("open it with: ")
    assert path in how
    wrong = CliRunner().invoke(main, ["debug", "runs/load/nobody"])
    assert wrong.exit_code == 2
    assert wrong.output.startswith("ductaflow: no such instance")


def test_editor_of_the_terminal_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In VS Code's terminal the notebook opens in VS Code."""
    code = tmp_path / "code"
    code.write_text("#!/bin/sh\n")
    code.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TERM_PROGRAM", "vscode")
    assert open_command(Path("x.ipynb")) == [str(code), "x.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["py", "ipynb"])
def test_notebook_fails_as_the_run_did(project: Path, kind: str) -> None:
    """On a real kernel the same cell fails in the same way, and results stay untouched."""
    if kind == "ipynb":
        import jupytext

        flow = project / "flow/load.py"
        jupytext.write(jupytext.reads(FLOW, "py:percent"), project / "flow/load.ipynb")
        flow.unlink()
    name = f"flow/load.{kind}"
    rows = pd.DataFrame({"instance_name": ["two", "none"], "lanes": [2, 0]})
    run_instances(rows, name, workers=1, on_error="continue")
    before = tree(project / "runs")
    executed = run_on_kernel(make_debug_notebook("runs/load/none"))
    codes = [cell for cell in executed.cells if cell.cell_type == "code"]
    failed = [cell for cell in codes if any(out.output_type == "error" for out in cell.outputs)]
    assert len(failed) == 1
    stored = json.loads((project / "runs/load/none/run.json").read_text())["error"]
    assert [out.ename for out in failed[0].outputs] == [stored["type"]] == ["ZeroDivisionError"]
    assert executed.cells[position(executed.cells, failed[0]["id"]) - 1]["id"] == "ductaflow-failed"
    assert tree(project / "runs") == before


@pytest.mark.slow
def test_mending_what_one_instance_reads_reruns_only_that_one(project: Path) -> None:
    """Once the cause is found and mended, the others are still up to date."""
    (project / "flow/load.py").write_text(
        FLOW.replace('config["lanes"])', 'float(project_path("data", config["file"]).read_text()))')
    )
    (project / "data/a.txt").write_text("2")
    (project / "data/b.txt").write_text("0")
    rows = pd.DataFrame({"instance_name": ["a", "b"], "file": ["a.txt", "b.txt"]})
    run_instances(rows, "flow/load.py", workers=1, on_error="continue")
    executed = run_on_kernel(make_debug_notebook("runs/load/b"))
    assert "ZeroDivisionError" in str(executed.cells[-1].outputs)
    (project / "data/b.txt").write_text("3")
    assert list(run_instances(rows, "flow/load.py", workers=1)["status"]) == ["up to date", "done"]


@pytest.mark.slow
def test_opened_flow_takes_a_past_config_from_its_default(project: Path) -> None:
    """An opened flow whose CLI block names `runs/STEP/NAME/config.json` runs with that instance's config."""
    sweep()
    import jupytext

    text = FLOW.replace("config/load.json", "runs/load/two/config.json")
    scratch = project / "flow" / "opened.ipynb"
    jupytext.write(jupytext.reads(text, "py:percent"), scratch)
    executed = run_on_kernel(scratch)
    assert "config: runs/load/two/config.json" in str(executed.cells[2].outputs)
    assert (project / "flow/load.txt").read_text() == "600.0"


def test_files_beside_the_flow_are_copied_where_the_project_wants_that(project: Path) -> None:
    """The notebook finds what the run found: the files that code or config name, as they are today."""
    (project / "pyproject.toml").write_text("[tool.ductaflow]\ncopy_inputs = true\n")
    (project / "flow" / "data").mkdir()
    (project / "flow" / "data" / "more.txt").write_text("7")
    (project / "flow" / "named.txt").write_text("8")
    (project / "flow" / "reads.py").write_text(
        '# %% tags=["parameters"]\nname = "x"\ndivisor = 1\n\n'
        '# %%\ntotal = int(open("data/more.txt").read()) + int(open(name).read())\nprint(total / divisor)\n'
    )
    rows = pd.DataFrame({"instance_name": ["a"], "name": ["named.txt"], "divisor": [0]})
    run_instances(rows, "flow/reads.py", workers=1, on_error="continue")
    path = make_debug_notebook("runs/reads/a")
    assert (path.parent / "data" / "more.txt").read_text() == "7"
    assert (path.parent / "named.txt").read_text() == "8"


@pytest.mark.slow
def test_a_notebook_whose_inputs_are_copied_fails_where_the_run_failed(project: Path) -> None:
    """Not before, for want of its files."""
    test_files_beside_the_flow_are_copied_where_the_project_wants_that(project)
    errors = [
        output.ename
        for cell in run_on_kernel(make_debug_notebook("runs/reads/a")).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert errors == ["ZeroDivisionError"]

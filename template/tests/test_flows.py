"""Smoke test: every flow in flow/ runs from its first to its last cell on its default config.

The default config is the file that the flow names in `load_cli_config(...)`. A flow that reads results of
other instances finds those that `config/smoke_test.json` lists under "run_first". Nothing goes to runs/.
"""

import json
import re
from pathlib import Path

import pytest
from ductaflow import run_notebook

ROOT = Path(__file__).resolve().parents[1]
FLOWS = sorted(
    path for path in (ROOT / "flow").glob("*.py") if 'tags=["parameters"]' in path.read_text(encoding="utf-8")
)


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def default_config(flow):
    """The config file that the flow's CLI block names; without such a block, an empty config."""
    named = re.search(r"load_cli_config\(\s*[\"']([^\"']+)", flow.read_text(encoding="utf-8"))
    return ROOT / named[1] if named else {}


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory):
    """A folder of results that holds the instances which other flows read."""
    runs_dir = tmp_path_factory.mktemp("runs")
    listed = ROOT / "config" / "smoke_test.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for first in read_json(listed)["run_first"] if listed.is_file() else []:
            run_notebook(
                first["flow"], first["config"], instance_name=first["instance_name"], runs_dir=runs_dir
            )
    return runs_dir


@pytest.mark.parametrize("flow", FLOWS, ids=lambda path: path.stem)
def test_flow_runs_on_its_default_config(flow, runs_dir, monkeypatch):
    monkeypatch.chdir(ROOT)
    record = run_notebook(flow, base_config=default_config(flow), instance_name="default", runs_dir=runs_dir)
    assert record.status == "done"

"""An instance starts from a fresh process: nothing of an earlier one, or of the worker's imports, shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

ENGINES = ("fork", pytest.param("spawn", marks=pytest.mark.slow))
DRAWS = """\
# %% tags=["parameters"]
config = {}

# %%
import random
import secrets
import uuid

import numpy as np
from ductaflow import save_results

save_results(
    legacy=float(np.random.rand()),
    permutation=np.random.permutation(1000).tolist(),
    generator=float(np.random.default_rng().random()),
    standard=random.random(),
    token=secrets.token_hex(8),
    uuid=str(uuid.uuid4()),
)
"""
LEAKS = """\
# %% tags=["parameters"]
config = {}

# %%
import decimal
import locale
import logging
import os
import subprocess
import sys
import warnings

import pandas as pd
from ductaflow import save_results

save_results(
    environment=os.environ.get("LEAK"),
    path="/leak" in sys.path,
    option=pd.options.display.max_rows,
    level=logging.getLogger().level,
    handlers=len(logging.getLogger().handlers),
    precision=decimal.getcontext().prec,
    filters=len(warnings.filters),
    history=len(In),
    columns=subprocess.run("echo $COLUMNS", shell=True, capture_output=True, text=True).stdout,
    attribute=hasattr(pd, "leak"),
)

# %%
import readline
os.environ["LEAK"] = "1"
sys.path.append("/leak")
pd.options.display.max_rows = 5
pd.leak = True
logging.basicConfig(level=logging.DEBUG)
decimal.getcontext().prec = 3
warnings.simplefilter("ignore")
"""


def sweep(project: Path, monkeypatch: pytest.MonkeyPatch, engine: str, flow: str) -> pd.DataFrame:
    """Four instances of `flow` on one worker."""
    from ductaflow import run_instances

    (project / "flow").mkdir()
    (project / "flow" / "sample.py").write_text(flow, encoding="utf-8")
    (project / "pyproject.toml").write_text(f'[tool.ductaflow]\nengine = "{engine}"\n', encoding="utf-8")
    monkeypatch.chdir(project)
    rows = pd.DataFrame({"instance_name": list("abcd")})
    return run_instances(rows, "flow/sample.py", workers=1).filter(like="result.")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_two_instances_draw_the_same_random_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """A flow that does not seed its random numbers gets other ones in every instance."""
    results = sweep(tmp_path, monkeypatch, engine, DRAWS)
    repeated = [name for name in results if results[name].astype(str).duplicated().any()]
    assert repeated == []


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_instance_changes_does_not_reach_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Environment, options, handlers and filters are the same at the start of every instance."""
    monkeypatch.delenv("COLUMNS", raising=False)
    results = sweep(tmp_path, monkeypatch, engine, LEAKS)
    leaking = [name for name in results if results[name].astype(str).nunique() > 1]
    assert leaking == []
    assert set(results["result.columns"]) == {"\n"}, "importing readline sets COLUMNS for all children"

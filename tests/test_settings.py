"""What the project's settings may look like, and what is said when they cannot be read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ductaflow import ProjectError, plan_instances

CONFLICT = """\
[tool.ductaflow]
workers = 1

[tool.ruff]
<<<<<<< before updating
line-length = 120
=======
line-length = 100
>>>>>>> after updating
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(CONFLICT, r"pyproject\.toml, line 5: an update or a merge left a conflict here\. ", id="conflict"),
        pytest.param("[tool.ductaflow\n", r"pyproject\.toml cannot be read: .*line 1", id="not TOML"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    """The message says which line is wrong, and what an update has to do with it."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    (tmp_path / "step.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=said):
        plan_instances(pd.DataFrame({"instance_name": ["a"]}), "step.py")

"""`ductaflow run`, typed as papermill is."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ductaflow_runtime.cli.main import main
from tests.conftest import Project


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("x.ipynb -p alpha 0.7", "run x.ipynb --set alpha=0.7"),
        ("x.ipynb out/strong.ipynb", "run x.ipynb --name strong"),
        ("x.ipynb out.ipynb -p alpha 0.7 -r zone 007 -f v.yaml -k ir", "x.ipynb --name out --set alpha=0.7 --set"),
        ("x.ipynb --nonsense", None),
    ],
)
def test_a_line_of_papermill_gets_the_one_that_is_meant(project: Project, typed: str, meant: str | None) -> None:
    """The parameters by `--set`, the output notebook's name by `--name`; nothing runs."""
    done = CliRunner().invoke(main, ["run", *typed.split()])
    assert done.exit_code == 2
    assert ("as papermill has it" in done.output) is (meant is not None)
    assert meant is None or meant in " ".join(done.output.split())
    assert not (project.root / "runs").exists()

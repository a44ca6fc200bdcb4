"""What is certain to fail in every row is told before any of them runs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import FlowFileError, plan_instances, run_instances, run_notebook
from tests.conftest import Project

FRAME = pd.DataFrame({"instance_name": list("abcde")})


def refused(project: Project) -> list[str]:
    """The lines of the one error; nothing has been made."""
    with pytest.raises(FlowFileError) as caught:
        run_instances(FRAME, "flow/step.py")
    assert not (project.root / "runs/step").exists()
    first, *lines = str(caught.value).splitlines()
    assert first == "nothing was run, for flow/step.py would fail in every row:"
    return [line.removeprefix("  - ") for line in lines]


def test_a_flow_that_is_no_python(project: Project) -> None:
    """File, line and text of each cell that cannot be compiled; `plan_instances` still gives its reasons."""
    path = project.flow("# %% [markdown]\n# Text\n\n# %%\n\nx = 1\ny = (x +\n\n# %%\nprint(1)\nreturn 5\n")
    lines = path.read_text().splitlines()
    first, second = refused(project)
    assert first == f"flow/step.py:{lines.index('y = (x +') + 1}: y = (x +: SyntaxError: '(' was never closed"
    assert second == f"flow/step.py:{lines.index('return 5') + 1}: return 5: SyntaxError: 'return' outside function"
    assert plan_instances(FRAME, "flow/step.py")["reason"].tolist() == ["new"] * 5


def test_a_module_that_is_no_python(project: Project) -> None:
    """Also one that is imported by another; and what is up to date is not looked at."""
    project.write("lib/__init__.py", "")
    project.write("lib/one.py", "from . import two\nfrom .three import X\n")
    project.write("lib/three.py", "X = 1\n")
    project.write("lib/two.py", "")
    project.flow("# %%\nimport lib.one\n")
    run_instances(FRAME, "flow/step.py")
    project.write("lib/three.py", "X = 1\nif X\n    pass\n")
    with pytest.raises(FlowFileError) as caught:
        run_instances(FRAME, "flow/step.py")
    assert "  - lib/three.py:2: if X: SyntaxError: expected ':'" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("import pandsa", "flow/step.py imports pandsa"),
        ("import json, pandsa.core as p", "flow/step.py imports pandsa"),
        ("from lib.rates import R", "flow/step.py imports lib.rates"),
        ("from lib.costs import cost", "lib/costs.py imports gone"),
    ],
)
def test_a_module_that_is_not_there(project: Project, code: str, missing: str) -> None:
    """It is named with who imports it."""
    project.write("lib/__init__.py", "")
    project.write("lib/costs.py", "import gone\n")
    project.flow(f"# %%\n{code}\n")
    (line,) = refused(project)
    assert line.startswith(f"{missing}, which is neither installed nor in the project")


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    import pandsa\nexcept ImportError:\n    pass",
        "def later():\n    import pandsa",
        "if False:\n    import pandsa",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import pandsa",
        "open('made.py', 'w').write('X = 1')\nimport sys\nsys.path.insert(0, '.')\nimport made",
        "from ductaflow import project_path\nproject_path('made2.py').write_text('X = 1')\nimport made2",
        "!true pip install\n%matplotlib inline",
        "await __import__('asyncio').sleep(0)",
        "import os.path, xml.etree.ElementTree, numpy.random as r",
        "import helper",
        "from data import tools",
        "s = '\\d'\nassert s is not 'x'",
        "def double(lines):\n    return [line.replace('TWICE', '2 *') for line in lines]\n"
        "get_ipython().input_transformers_cleanup.append(double)\n# %%\nTWICE 21",
    ],
)
def test_what_may_be_right_is_left_to_the_flow(project: Project, code: str) -> None:
    """Nothing is refused that could run."""
    project.write("flow/helper.py", "import sibling\n")
    project.write("flow/sibling.py", "")
    project.write("data/tools.py", "")
    project.write("scripts/broken.py", "(")
    project.flow(f"# %%\n{textwrap.dedent(code)}\n")
    assert run_notebook("flow/step.py", {}, instance_name="a").status == "done"


def test_cells_that_are_not_meant_to_run(project: Project) -> None:
    """A cell that is skipped, or meant to raise, may hold anything."""
    project.flow("# %% tags=['skip-execution']\n(\n\n# %% tags=['raises-exception']\n)\n")
    assert run_notebook("flow/step.py", {}, instance_name="a").status == "done"


@pytest.mark.parametrize("terms", [1500, 3000])
def test_code_that_is_nested_too_deep_to_be_read(project: Project, terms: int) -> None:
    """A sum of very many terms is one error that says what to do, for running and planning."""
    project.flow(f"# %%\nx = {' + '.join(['1'] * terms)}\n")
    for call in (run_instances, plan_instances):
        with pytest.raises(FlowFileError, match="nested too deep to be read, such as a sum of a thousand terms"):
            call(FRAME, "flow/step.py")


def notebook(project: Project, *cells: str) -> None:
    """A notebook as a flow."""
    from nbformat.v4 import new_code_cell, new_notebook, writes

    declared = new_code_cell("config = {}", metadata={"tags": ["parameters"]})
    project.write("flow/step.ipynb", writes(new_notebook(cells=[declared, *map(new_code_cell, cells)])))


def test_lines_that_ipython_takes_for_magics(project: Project) -> None:
    """A line magic without its sign is no Python, and runs in a notebook; papermill runs it."""
    notebook(project, "time sum(range(10))", "load_ext autoreload\n", "autoreload 0", "pwd", "\nls -l", "who_ls int")
    assert run_notebook("flow/step.ipynb", {}, instance_name="a").status == "done"


@pytest.mark.parametrize("cell", ["print sum(range(10))", "time = (", "x = 1\ntime sum(range(10))", "def f(x)"])
def test_what_only_looks_like_a_magic(project: Project, cell: str) -> None:
    """IPython looks for magics in cells of one line, and what Python itself has by that name comes first."""
    notebook(project, cell)
    with pytest.raises(FlowFileError, match="would fail in every row"):
        run_notebook("flow/step.ipynb", {}, instance_name="a")


PATHSETUP = "import sys\nsys.path.insert(0, OUTSIDE)\n"
INSTALLED = "import sys, types\n\n\ndef init():\n    sys.modules['made_by_call'] = types.ModuleType('made_by_call')\n"


@pytest.mark.parametrize(
    "text",
    [
        '# %% tags=["skip-execution"]\nimport pandsa\n',
        '# %% tags=["raises-exception"]\nimport pandsa\n',
        "# %%\nimport pathsetup\nimport outside\n",
        "# %%\nfrom lib import pathsetup\nimport outside\n",
        "# %%\nimport lib.all\nimport outside\n",
        "# %%\ntry:\n    import pathsetup\nexcept ImportError:\n    pass\nimport outside\n",
        "# %%\nimport tiny_installed\ntiny_installed.init()\nimport made_by_call\n",
        "# %%\nimport lib.calls\n\n# %%\nimport made_by_call\n",
        '# %% tags=["raises-exception"]\nimport lib.calls\n1 / 0\n\n# %%\nimport made_by_call\n',
        "# %%\nimport sys\nif True:\n    sys.exit(0)\n\n# %%\nimport pandsa\n",
        "# %%\nfrom tables.loader import Y\nassert Y == 2\n",
        "# %%\nimport tables.more.deep\n",
    ],
)
def test_a_module_that_may_come_from_elsewhere(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Where code that runs before may change what there is to import, the import is left to the flow."""
    site, outside = tmp_path / "site", tmp_path / "outside"
    for path, content in {
        site / "tiny_installed.py": INSTALLED,
        outside / "outside.py": "",
        project.root / "flow/pathsetup.py": PATHSETUP.replace("OUTSIDE", repr(str(outside))),
        project.root / "lib/pathsetup.py": PATHSETUP.replace("OUTSIDE", repr(str(outside))),
        project.root / "lib/all.py": "from . import pathsetup\n",
        project.root / "lib/calls.py": "import tiny_installed\n\ntiny_installed.init()\n",
        project.root / "flow/tables/a.csv": "1",
        project.root / "flow/tables/more/a.csv": "1",
        project.root / "tables/loader.py": "Y = 2\n",
        project.root / "tables/more/deep.py": "",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    project.settings(engine="spawn")
    project.flow(text)
    assert run_notebook("flow/step.py", {}, instance_name="a").status == "done"


@pytest.mark.parametrize(
    "before",
    [
        "import re\nimport pandas as pd\nNAME = re.compile('x')\npd.set_option('display.width', 9)",
        "import ductaflow\nductaflow.display_config_summary(config)\nD = ductaflow.project_path('d')",
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass A:\n    x: int = 1\ndef f():\n    open('x')",
        "import lib.plain\n%matplotlib inline",
    ],
)
def test_what_cannot_make_a_module_is_passed_over(project: Project, before: str) -> None:
    """A flow shows its config and sets options before it imports: what is missing below is still told."""
    project.write("lib/plain.py", "import os\n\nLIMIT = 3 * 2\nif LIMIT > 2:\n    LIMIT = 2\n")
    project.flow(f"# %%\n{before}\n\n# %%\nimport pandsa\n")
    (line,) = refused(project)
    assert line.startswith("flow/step.py imports pandsa, which is neither installed nor in the project")


def test_a_folder_of_data_does_not_hide_what_is_missing(project: Project) -> None:
    """A package that lies in parts is missing a module only if no part has it."""
    project.write("flow/tables/a.csv", "1")
    project.write("tables/loader.py", "import pandsa\n")
    project.flow("# %%\nimport tables.loader\nimport tables.gone\n")
    told = refused(project)
    assert [line.partition(", which")[0] for line in told] == [
        "tables/loader.py imports pandsa",
        "flow/step.py imports tables.gone",
    ]

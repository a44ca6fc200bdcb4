"""HTML pages of notebooks: self-contained, readable offline, with or without code."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ductaflow import run_instances
from ductaflow_runtime.cli.main import main
from ductaflow_runtime.errors import MissingExtraError
from ductaflow_runtime.html_export.export import export_page, require_extra
from ductaflow_runtime.html_export.formulas import latex_to_html, to_mathml

FLOW = """# %% [markdown]
# # Volumes & <i>speeds</i>
#
# With $v < c$ and
#
# $$ t = t_0 \\left(1 + b \\left(\\frac{v}{c}\\right)^p\\right) $$

# %% tags=["parameters"]
config = {}

# %%
import pandas as pd

secret_formula = config["n"] * 2
print("printed <script>text</script>")
pd.DataFrame({"volume": [secret_formula]})

# %%
if config["n"] == 3:
    raise ValueError("no volume")
"""
OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""", re.I)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow/volumes.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page_of(cells: list[Any], path: Path, **options: bool) -> str:
    export_page(new_notebook(cells=cells), path, **options)
    return path.read_text(encoding="utf-8")


def rows(*numbers: int) -> pd.DataFrame:
    return pd.DataFrame({"instance_name": [f"n{n}" for n in numbers], "n": numbers})


def test_page_is_written_beside_the_notebook_and_loads_nothing(project: Path) -> None:
    """A sweep's page holds code, text, table and formulas, and names no file outside itself."""
    run_instances(rows(1), "flow/volumes.py", workers=1, export_html=True)
    page = (project / "runs/volumes/n1/volumes.html").read_text(encoding="utf-8")
    assert "<title>volumes: n1</title>" in page
    assert "secret_formula" in page
    assert "printed &lt;script&gt;text&lt;/script&gt;" in page
    assert 'class="dataframe"' in page
    assert page.count("<math") == 2
    assert "$" not in re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    assert "<mfrac>" in page
    assert not OUTSIDE.search(page)
    assert "Content-Security-Policy" in page
    assert len(page) < 30_000


def test_page_without_code_keeps_what_it_shows(project: Path) -> None:
    """For clients: no code, no prompts, no command, no traceback; text, tables and the error remain."""
    (project / "pyproject.toml").write_text("[tool.ductaflow]\ncode = false\n")
    run_instances(rows(1, 3), "flow/volumes.py", workers=1, export_html=True, on_error="continue")
    for name in ("n1", "n3"):
        page = (project / f"runs/volumes/{name}/volumes.html").read_text(encoding="utf-8")
        assert "secret_formula" not in page
        assert "In\xa0[" not in page
        assert "Out[" not in page
        assert "To reproduce it" not in page
        assert "printed &lt;script&gt;" in page
        assert 'class="dataframe"' in page
        assert "<h1>" in page
    assert "ValueError: no volume" in page
    assert "Traceback" not in page


def test_warnings_of_page_making_are_not_the_flows(project: Path) -> None:
    """An output that a page cannot show, or an image without a description, counts as no warning."""
    (project / "flow/volumes.py").write_text(
        '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nfrom IPython.display import display\n\nprint(config["n"])\n'
        'display({"application/x-unknown": "x"}, raw=True)\ndisplay({"image/png": "iVBORw0KGgo="}, raw=True)\n'
    )
    run_instances(rows(1), "flow/volumes.py", workers=1, export_html=True)
    assert '"warnings": 0,' in (project / "runs/volumes/n1/run.json").read_text()


def test_page_of_an_up_to_date_instance_comes_from_its_notebook(project: Path) -> None:
    """Asking for pages later executes nothing."""
    run_instances(rows(1), "flow/volumes.py", workers=1)
    again = run_instances(rows(1), "flow/volumes.py", workers=1, export_html=True)
    assert list(again["status"]) == ["up to date"]
    assert (project / "runs/volumes/n1/volumes.html").is_file()


def test_report_makes_pages_and_names_who_has_none(project: Path) -> None:
    """`ductaflow report --html STEP` makes a page of every stored notebook, without running anything."""
    run_instances(rows(1, 2, 4), "flow/volumes.py", workers=1)
    (project / "runs/volumes/n2/volumes.ipynb").unlink()
    (project / "runs/volumes/n4/run.json").write_text("{")
    result = CliRunner().invoke(main, ["report", "--html", "volumes", "--no-code"])
    assert result.exit_code == 0, result.output
    assert "volumes: 1 HTML page written" in result.output
    assert "without a page: n2 (no notebook)" in result.output
    assert "without a page: n4 (" in result.output
    assert "secret_formula" not in (project / "runs/volumes/n1/volumes.html").read_text(encoding="utf-8")
    assert CliRunner().invoke(main, ["report", "--html", "volumes"]).exit_code == 0
    assert "secret_formula" in (project / "runs/volumes/n1/volumes.html").read_text(encoding="utf-8")


def test_report_writes_the_page_of_all_instances(project: Path) -> None:
    """`ductaflow report` writes `runs/index.html` and says where it is."""
    nothing = CliRunner().invoke(main, ["report"])
    assert nothing.exit_code == 2
    assert "there are no results yet" in nothing.output
    run_instances(rows(1), "flow/volumes.py", workers=1)
    result = CliRunner().invoke(main, ["report"])
    assert result.output.strip() == str(project / "runs" / "index.html")
    assert "volumes" in (project / "runs/index.html").read_text(encoding="utf-8")
    wrong = CliRunner().invoke(main, ["report", "--html", "nothing"])
    assert wrong.exit_code == 2
    assert "holds no instances" in wrong.output


def test_missing_extra_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the `html` extra the error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "nbconvert", None)
    with pytest.raises(MissingExtraError, match=r"need nbconvert: pip install 'ductaflow\[html\]'"):
        require_extra()


def test_title_is_text(tmp_path: Path) -> None:
    """Whatever an instance is called, its name stays text."""
    folder = tmp_path / "a&b 'x' {y}"
    folder.mkdir()
    page = page_of([new_markdown_cell("x")], folder / "flow.html")
    assert "<title>flow: a&amp;b 'x' {y}</title>" in page


def test_outputs_of_every_kind_are_shown(tmp_path: Path) -> None:
    """Figures are inside the page; formulas, colours and scripts work without a library."""
    outputs = [
        new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "figure"}),
        new_output("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}),
        new_output("display_data", {"text/latex": r"$\displaystyle x^{2}$", "text/plain": "x**2"}),
        new_output("display_data", {"text/markdown": "It is $y$"}),
        new_output("display_data", {"application/javascript": "element.textContent = 'drawn'"}),
        new_output(
            "display_data",
            {"application/vnd.jupyter.widget-view+json": {"model_id": "m"}, "text/plain": "100%|####|"},
        ),
        new_output("stream", text="\x1b[31mred\x1b[0m"),
    ]
    page = page_of([new_code_cell("x", outputs=outputs)], tmp_path / "p.html")
    assert "data:image/png;base64,iVBORw0KGgo=" in page
    assert "data:image/svg+xml;base64," in page
    assert page.count("<math") == 2
    assert "100%|####|" in page
    assert '<span class="ansi-red-fg">red</span>' in page
    assert "$(" not in page


def test_local_images_are_put_into_the_page(tmp_path: Path) -> None:
    """An image that the flow wrote and its markdown names travels with the page."""
    (tmp_path / "map.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page = page_of([new_markdown_cell("![map](map.png)")], tmp_path / "p.html")
    assert 'src="data:image/png;base64,' in page


def test_an_image_from_outside_becomes_a_link(tmp_path: Path) -> None:
    """Opening a page asks nobody for anything, so an image elsewhere is named but not loaded."""
    page = page_of([new_markdown_cell('![a "map"](https://example.com/map.png)')], tmp_path / "p.html")
    assert "<img" not in page
    assert '<a href="https://example.com/map.png">a "map"</a>' in page


def test_page_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing but the page is left in the folder."""
    page_of([new_markdown_cell("one")], tmp_path / "p.html")
    assert "two" in page_of([new_markdown_cell("two")], tmp_path / "p.html")
    assert [path.name for path in tmp_path.iterdir()] == ["p.html"]


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"\frac{v}{c}", "<mfrac>"),
        (r"\text{a<b}", "<mtext>a&lt;b</mtext>"),
        (r"x < y", "<mo>&lt;</mo>"),
        (r"\sum_{a \in A}", "∑"),
        (r"\frac{1", "1"),
        (r"\left( x", "x"),
        (r"x^a^b", "x^a^b"),
    ],
)
def test_formulas_become_mathml_or_stay_readable(latex: str, shown: str) -> None:
    """A formula is MathML with everything escaped; one that cannot be converted is shown as written."""
    assert shown in to_mathml(latex, display=False)


def test_text_around_formulas_stays_text() -> None:
    """In a LaTeX output, only what stands between delimiters is a formula; numbering is left out."""
    shown = latex_to_html(r"5 < 6: $x$, \(y\), $$z$$, \[w\] \begin{align}a &= b\end{align} for \$5")
    assert shown.startswith("5 &lt; 6: <math")
    assert shown.count("<math") == 5
    assert shown.count('display="block"') == 3
    assert "(1)" not in shown
    assert shown.endswith(r"for \$5")

"""Flows in R, where R and its Jupyter kernel are installed (Debian: r-base-core, r-cran-irkernel)."""

from __future__ import annotations

import pandas as pd
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from ductaflow import ConfigError, FlowError, plan_instances, run_instances, run_notebook
from tests.conftest import Project

from .flows import R

KERNEL = "ir"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KERNEL not in KernelSpecManager().find_kernel_specs(), reason="IRkernel is not installed"),
]
HEAD = '# %% tags=["parameters"]\nn <- 1\n'
ODD = 'a "b" \\ c\td\nline é ü € 😀 $x end'


def as_notebook(text: str) -> str:
    """An R flow as an `.ipynb` file, its kernel named as R users' notebooks name it."""
    import jupytext

    notebook = jupytext.reads(text, fmt="R")
    notebook.metadata["kernelspec"] = {"name": KERNEL, "display_name": "R", "language": "R"}
    return jupytext.writes(notebook, fmt="ipynb")


def as_markdown(text: str) -> str:
    """An R flow as R Markdown."""
    parameters, *cells = text.split("# %%")[1:]
    tagged = "```{r tags=c('parameters')}" + parameters.partition("]")[2] + "```\n\n"
    return (
        "---\ntitle: A flow\n---\n\n" + tagged.replace("'", '"') + "\n".join(f"```{{r}}{cell}```\n" for cell in cells)
    )


@pytest.mark.parametrize("ending", ["R", "Rmd", "ipynb"])
def test_a_sweep(project: Project, ending: str) -> None:
    """Rows arrive as variables, to the type and the letter; results, figures and inputs are kept."""
    project.write("data/links.csv", "a\nb\nc\n")
    flow = project.write(f"flow/total.{ending}", {"R": str, "Rmd": as_markdown, "ipynb": as_notebook}[ending](R))
    rows = pd.DataFrame(
        {
            "instance_name": ["x", "y"],
            "alpha": [0.7, 2.5],
            "learning.rate": [10, 20],
            "net.a": [100, 200],
            "name": [ODD, "plain"],
            "on": [True, False],
            "many": [[1, 2], [3]],
        }
    )
    frame = run_instances(rows, flow, workers=2, timeout=120)
    assert list(frame["status"]) == ["done", "done"]
    assert list(frame["result.total"]) == [113.7, 225.5]
    assert list(frame["result.lines"]) == [3, 3]
    assert list(frame["result.folder"]) == ["x", "y"]
    assert list(frame["result.on"]) == [True, False]
    folder = project.root / "runs" / "total" / "x"
    assert (folder / "name.txt").read_text(encoding="utf-8") == ODD
    assert "alpha is 0.7" in (folder / "run.log").read_text(encoding="utf-8")
    record = project.record("total", "x")
    assert list(record["fingerprint"]["inputs"]) == ["data/links.csv"]
    assert record["fingerprint"]["kernel"] == KERNEL
    kinds = [key for cell in project.notebook("total", "x")["cells"] for output in cell.get("outputs", ())
             for key in output.get("data", ())]  # fmt: skip
    assert "image/png" in kinds or "image/svg+xml" in kinds
    assert plan_instances(rows, flow)["reason"].tolist() == [None, None]
    project.write("data/links.csv", "a\n")
    assert plan_instances(rows, flow)["reason"].tolist() == ["input: data/links.csv"] * 2


def test_a_failing_flow(project: Project) -> None:
    """The record names the error and its cell; nothing is executed after it."""
    project.write("flow/bad.R", HEAD + '# %%\nstop("too many: ", n)\n# %%\nfile.create("a")\n')
    with pytest.raises(FlowError):
        run_notebook("flow/bad.R", {"n": 7}, instance_name="x", timeout=120)
    error = project.record("bad", "x")["error"]
    assert "too many: 7" in error["message"]
    assert error["cell"] == 2
    assert not (project.root / "runs" / "bad" / "x" / "a").exists()


def test_a_time_limit(project: Project) -> None:
    """A cell that takes too long is broken off, and nothing comes after it."""
    project.write("flow/slow.R", HEAD + '# %%\nSys.sleep(60)\n# %%\nfile.create("a")\n')
    with pytest.raises(FlowError, match="timed out after 8 s"):
        run_notebook("flow/slow.R", instance_name="x", timeout=8)
    assert project.record("slow", "x")["error"]["cell"] == 2
    assert not (project.root / "runs" / "slow" / "x" / "a").exists()


def test_names_that_nothing_reads(project: Project) -> None:
    """A misspelt column is an error before anything runs."""
    project.write("flow/total.R", R)
    with pytest.raises(ConfigError, match="unknown parameter `alhpa`; did you mean `alpha`"):
        run_instances(pd.DataFrame({"instance_name": ["x"], "alhpa": [1]}), "flow/total.R")

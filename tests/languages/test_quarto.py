"""Quarto documents: Quarto's own command reads them, which a program of a few lines stands for here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from ductaflow import FlowFileError, plan_instances, run_instances
from tests.conftest import Project

FLOW = """\
---
title: A flow
jupyter: {kernel}
---

Some text.

```{{{language}}}
#| tags: [parameters]
n{equals}1
```

```{{{language}}}
#| echo: false
# a comment
{body}
```
"""
PYTHON = FLOW.format(
    kernel="python3",
    language="python",
    equals=" = ",
    body="from ductaflow import save_results\n\nsave_results(double=n * 2)",
)
BASH = FLOW.format(
    kernel="bash", language="bash", equals="=", body="""printf '{"double": %s}' $((n * 2)) > results.json"""
)
# `quarto convert` writes an .ipynb beside the .qmd; tags become metadata, other options stay in the cell.
QUARTO = """\
#!{python}
import json, re, sys

if sys.argv[1] == "--version":
    print("1.6.0")
    sys.exit()
text = open(sys.argv[-1], encoding="utf-8").read()
kernel = re.search(r"(?m)^jupyter: (\\S+)", text)[1]
language = re.search(r"```{{(\\w+)}}", text)[1]
cells = []
for source in re.findall(r"(?s)```{{\\w+}}\\n(.*?)\\n```", text):
    tags = re.search(r"(?m)^#\\| tags: \\[(.*)\\]\\n", source)
    metadata = {{"tags": [tags[1]]}} if tags else {{}}
    source = source.replace(tags[0], "") if tags else source
    cell = {{"cell_type": "code", "id": str(len(cells)), "metadata": metadata, "source": source}}
    cells.append({{**cell, "outputs": [], "execution_count": None}})
kernelspec = {{"name": kernel, "language": language, "display_name": kernel}}
notebook = {{"cells": cells, "metadata": {{"kernelspec": kernelspec}}, "nbformat": 4, "nbformat_minor": 5}}
open(sys.argv[-1][:-4] + ".ipynb", "w", encoding="utf-8").write(json.dumps(notebook))
"""
ROWS = pd.DataFrame({"instance_name": ["x", "y"], "n": [3, 4]})


@pytest.mark.skipif(os.name != "posix", reason="the program has a first line that names Python")
@pytest.mark.parametrize(
    ("text", "kernel"),
    [(PYTHON, "python3"), pytest.param(BASH, "bash", marks=pytest.mark.slow)],
    ids=["python", "bash"],
)
def test_a_sweep_of_a_quarto_document(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kernel: str
) -> None:
    """`jupyter: python3` is this Python; rows arrive as variables; code counts, and what only Quarto reads does not."""
    program = tmp_path / "bin/quarto"
    program.parent.mkdir()
    program.write_text(QUARTO.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    flow = project.write("flow/twice.qmd", text)
    frame = run_instances(ROWS, "flow/twice.qmd", timeout=120)
    assert frame["result.double"].tolist() == [6, 8]
    assert project.record("twice", "x")["fingerprint"]["kernel"] == kernel
    reasons = plan_instances(ROWS.assign(n=[3, 5]), "flow/twice.qmd")["reason"].tolist()
    assert reasons == [None, "config: n 4 -> 5"]
    flow.write_text(text.replace("echo: false", "echo: true").replace("a comment", "another one"), encoding="utf-8")
    assert plan_instances(ROWS, "flow/twice.qmd")["reason"].tolist() == [None, None]
    flow.write_text(text.replace("2", "3"), encoding="utf-8")
    assert plan_instances(ROWS, "flow/twice.qmd")["reason"].tolist() == ["code: cell 2"] * 2


def test_a_quarto_document_without_quarto(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything runs, with what is missing and what else can be done."""
    monkeypatch.setenv("PATH", str(tmp_path))
    project.write("flow/twice.qmd", PYTHON)
    with pytest.raises(
        FlowFileError, match=r"quarto was not found\. .*install it, or keep the flow as an \.ipynb, \.Rmd"
    ):
        run_instances(ROWS, "flow/twice.qmd")
    assert not (project.root / "runs/twice").exists()

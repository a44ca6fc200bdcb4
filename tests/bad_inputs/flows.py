"""Flows that are not there, cannot be read, or are certain to fail; flows that fail."""

from __future__ import annotations

import json

from tests.bad_inputs.case import Bad, Section

HEAD = '# %% tags=["parameters"]\nconfig = {}\n\n'


def flow(text: str | bytes, name: str = "other.py", *, head: bool = True) -> Bad:
    """A flow, and a conductor that runs it."""
    content = HEAD + text if head and isinstance(text, str) else text
    return Bad(f'run_instances(rows, "flow/{name}")', {f"flow/{name}": content})


FLOWS = (
    Bad('run_instances(rows, "flow/tol.py")'),
    Bad('run_instances(rows, "flow")'),
    Bad('run_instances(rows, "")'),
    Bad("run_instances(rows, None)"),
    Bad("run_instances(rows, 5)"),
    Bad('run_instances(rows, "flow/toll.py\\0")'),
    Bad('run_instances(rows, "config/base.json")'),
    flow("# %%\nx = 1\n", head=False),
    flow("# %%\ncost = (1\n"),
    flow('# %%\nimport numpyy\n\nprint(config["year"], config["toll"]["price"])\n'),
    flow('# %%\nyear = config["year"]\n\x00'),
    flow(b'# %% tags=["parameters"]\nconfig = {}\n# %%\nname = "Z\xfcrich"\n'),
    flow("", "empty.ipynb", head=False),
    flow("{}", "cells.ipynb", head=False),
    flow("not a notebook", "text.ipynb", head=False),
    flow(
        json.dumps(
            {
                "cells": [],
                "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        ),
        "model.ipynb",
        head=False,
    ),
    flow("year;price\n2030;2.5\n", "rows.csv", head=False),
)
FAILING = (
    Bad(
        'run_instances(rows, "flow/other.py")',
        {
            "flow/other.py": f'{HEAD}# %%\nprint(config["year"], config["toll"]["price"])\n'
            'if config["year"] > 2030:\n    raise ValueError("too late")\n'
        },
    ),
    Bad(
        'run_instances(rows, "flow/other.py")',
        {
            "flow/other.py": f"{HEAD}# %%\nfrom ductaflow import save_results\n\n"
            'save_results(year={config["year"]} if config["year"] > 2030 else config["toll"]["price"])\n'
        },
    ),
    Bad(
        'run_instances(rows, "flow/other.py")',
        {
            "flow/other.py": f"{HEAD}# %%\nfrom ductaflow import instance_path\n\n"
            'if config["toll"]["price"] > 2.5:\n    instance_path("toll", config["year"], "../a/run.json")\n'
        },
    ),
    Bad(
        'run_notebook("flow/other.py", instance_name="a")',
        {"flow/other.py": f"{HEAD}# %%\nimport os\n\nos._exit(3)\n"},
    ),
    Bad(
        'run_notebook("flow/other.py", instance_name="a", timeout=0.5)',
        {"flow/other.py": f"{HEAD}# %%\nimport time\n\ntime.sleep(60)\n"},
    ),
)
SECTIONS = (
    Section("Flows", FLOWS),
    Section("Flows that fail", FAILING),
)

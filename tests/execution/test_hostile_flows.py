"""Flows that change the process they run in: a failed record in words about the flow, and the other rows are done."""

from __future__ import annotations

import pandas as pd

from ductaflow import run_instances
from tests.conftest import Project

BODIES = {
    "pass": None,
    "os.closerange(0, 1000)": "the flow closed descriptors that are not its own",
    "builtins.open = bad": "has the flow changed what all code in its process uses, such as json, open or os?",
    "os.replace = bad": "has the flow changed what all code in its process uses, such as json, open or os?",
    "json.dumps = json.loads = bad": "the process ended with exit code 1 before the flow did",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))": "Too many open files",
    "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))": "before the flow did",
    "os._exit(0)": "the process ended with exit code 0 before the flow did",
    "os.chdir('/')": None,
    "print('still there')": None,
}


def test_each_is_told_and_costs_no_other_row(project: Project) -> None:
    """Nothing of the runtime's insides is in the message: no temporary file, no module of its own."""
    choices = "\n".join(f"    elif config['n'] == {number}:\n        {body}" for number, body in enumerate(BODIES))
    project.flow(
        "import builtins, json, os, resource\n\ndef bad(*_, **__):\n    raise RuntimeError('patched')\n\n"
        f"if True:\n    if config['n'] < 0:\n        pass\n{choices}\n"
    )
    rows = pd.DataFrame({"instance_name": [f"r{number}" for number in range(len(BODIES))], "n": range(len(BODIES))})
    frame = run_instances(rows, "flow/step.py", workers=2, on_error="continue")
    for error, (body, wanted) in zip(frame["error"], BODIES.items(), strict=True):
        assert (error is None) == (wanted is None), (body, error)
        assert wanted is None or wanted in error, (body, error)
        assert error is None or not any(word in error for word in (".tmp", "ductaflow", "journal")), (body, error)

"""The line that a sweep begins with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ductaflow import run_instances
from ductaflow_runtime.conductor.announcement import announce
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.staleness.decision import BUSY, Plan
from tests.conftest import Project

CONFIG = {"seed": 1, "fare": {"base": 2}, "my key": 3, "note": "a", "links": "x"}
SOME = Instance(Path(), "cost", "a", CONFIG, Path())
SEEDS = [f"config: seed {n} -> {n + 1}" for n in range(200)]
AGAIN = "(it changed during the last two executions: if the flow itself writes it, set ignore = [] in the settings)"


def plans(*reasons: str | None) -> list[Plan]:
    return [Plan(SOME, None, reason) for reason in reasons]


@pytest.mark.parametrize(
    ("reasons", "refreshed", "line"),
    [
        ([], 0, "cost: 0 to run, 0 up to date"),
        (["new"] * 3, 0, "cost: 3 to run (3 new), 0 up to date"),
        ([None] * 80, 80, "cost: 0 to run, 80 refreshed"),
        ([None] * 80, 3, "cost: 0 to run, 3 refreshed, 77 up to date"),
        (["new", BUSY, None], 0, "cost: 1 to run (1 new), 1 running in another process, 1 up to date"),
        (
            ["failed; config: pop removed (was 0.1); code: cell 2", "failed", "failed"],
            0,
            "cost: 3 to run (2 failed | 1 failed; config: pop removed (was 0.1); code: cell 2), 0 up to date",
        ),
        (
            ["new", "new", "new", "forced", "forced", "failed", "interrupted", "code"],
            0,
            "cost: 8 to run (3 new | 2 forced | 1 failed | 2 for other reasons), 0 up to date",
        ),
        (
            ["new", "forced", "failed", "interrupted"],
            0,
            "cost: 4 to run (1 new | 1 forced | 1 failed | 1 interrupted), 0 up to date",
        ),
        (SEEDS[:3], 0, f"cost: 3 to run ({' | '.join(f'1 {seed}' for seed in SEEDS[:3])}), 0 up to date"),
        (SEEDS, 0, "cost: 200 to run (200 config: seed (different values)), 0 up to date"),
        (
            [
                f"record damaged: /home/ann/study/runs/seir/{name}/run.json is not valid JSON (line 1)"
                for name in "abcdef"
            ],
            0,
            "cost: 6 to run (6 record damaged: run.json is not valid JSON (line 1)), 0 up to date",
        ),
        (
            ["; ".join(f"input: runs/seir/{name}_b0.15_g0.{n}/peak.txt" for n in range(8)) for name in "abcd"],
            0,
            "cost: 4 to run (4 input: runs/seir/ (different files) and 7 more), 0 up to date",
        ),
        (
            [f"config: links {[name] * 30} -> {[name] * 31}" for name in "abc"],
            0,
            "cost: 3 to run (3 config: links), 0 up to date",
        ),
        (
            [f"{seed}; config: fare.base 1 -> 2; code: cell 4" for seed in SEEDS],
            0,
            "cost: 200 to run (200 config: seed (different values), fare.base 1 -> 2; code: cell 4), 0 up to date",
        ),
        (
            [f"config: my key {n} -> 3" for n in range(9)] + ["config: my other key 1 -> 2"],
            0,
            "cost: 10 to run (9 config: my key (different values) | 1 config: my other key 1 -> 2), 0 up to date",
        ),
        (
            ["config: seed 1 -> 2; config: note a; b -> c; d; config: fare.base 1 -> 2; module: lib/a.py; and more"],
            0,
            "cost: 1 to run (1 config: seed 1 -> 2, note a; b -> c; d, fare.base 1 -> 2 and 2 more), 0 up to date",
        ),
        ([f"config: links {'x' * 40} -> {'y' * 40}"], 0, "cost: 1 to run (1 config: links), 0 up to date"),
        ([f"input: runs.db {AGAIN}"], 0, "cost: 1 to run (1 input: runs.db), 0 up to date"),
        (
            [f"input: runs/fit/m{n}/fit.csv" for n in range(9)],
            0,
            "cost: 9 to run (9 input: runs/fit/ (different files)), 0 up to date",
        ),
        (["x" * 200], 0, f"cost: 1 to run (1 {'x' * 57}...), 0 up to date"),
    ],
)
def test_the_line(reasons: list[str | None], refreshed: int, line: str) -> None:
    """Groups of rows with one reason are told apart from the causes in a reason."""
    assert announce("cost", plans(*reasons), refreshed) == line


@pytest.mark.parametrize("number", [1, 2, 3, 8, 200])
def test_any_mixture_is_a_line_to_read(number: int) -> None:
    """However many reasons there are, and however long each is."""
    causes = ["module: src/a_long_name/of_a_package/and_a_module.py", "package: pandas 2 -> 3", "code: cell 4, cell 5"]
    for many in ([], causes, causes * 2):
        reasons = ["; ".join([f"config: note {'n' * place}{place} -> {'z' * 60}", *many]) for place in range(number)]
        line = announce("cost", plans(*reasons))
        assert len(line) < 220
        assert "\n" not in line


def test_a_sweep_that_only_refreshes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that got new text around their outputs are called what their status is."""
    flow = project.flow("# %%\n# one\nprint(config['n'])\n")
    frame = pd.DataFrame({"n": range(3)})
    run_instances(frame, "flow/step.py")
    assert capsys.readouterr().err.startswith("step: 3 to run (3 new), 0 up to date\n")
    flow.write_text(flow.read_text().replace("# one", "# two"))
    run_instances(frame, "flow/step.py")
    assert capsys.readouterr().err == "step: 0 to run, 3 refreshed\n"


SAVES = "# %%\nfrom ductaflow import save_results\n\nsave_results(n=config['n'])\n"
TABLE = "t=__import__('pandas').DataFrame({'n': [1]})"
TOLD = "step: no row saved a result, so the frame has no result columns; a flow saves them with save_results("


def test_a_first_sweep_that_saves_nothing_says_so_once(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever comes from elsewhere learns at the end how numbers get into the frame; it is never said again."""
    project.flow("# %%\nprint(config['n'])\n")
    run_instances(pd.DataFrame({"n": range(3)}), "flow/step.py")
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(TOLD)
    run_instances(pd.DataFrame({"n": range(3)}), "flow/step.py", force=True)
    run_instances(pd.DataFrame({"n": [7]}), "flow/step.py")
    assert TOLD not in capsys.readouterr().err


def test_a_first_sweep_after_failures_may_say_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What has only failed so far has never had a result to save."""
    flow = project.flow("# %%\nprint(confg['n'])\n")
    run_instances(pd.DataFrame({"n": [1]}), "flow/step.py", on_error="continue")
    assert TOLD not in capsys.readouterr().err
    flow.write_text(flow.read_text().replace("confg", "config"))
    run_instances(pd.DataFrame({"n": [1]}), "flow/step.py")
    assert TOLD in capsys.readouterr().err


@pytest.mark.parametrize("body", [SAVES, SAVES.replace("n=config['n']", TABLE)])
def test_a_sweep_that_saves_is_told_nothing(project: Project, capsys: pytest.CaptureFixture[str], body: str) -> None:
    """A number or a table, be it of one row only."""
    project.flow(body.replace("save_results(", "if config['n']: save_results("))
    run_instances(pd.DataFrame({"n": range(3)}), "flow/step.py")
    assert TOLD not in capsys.readouterr().err

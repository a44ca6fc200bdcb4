"""Cells tagged `shared` are executed once for all instances, or else by each of them, and it makes no difference."""

from __future__ import annotations

import pandas as pd
import pytest

from ductaflow import run_notebook
from ductaflow_runtime.worker.pool import pool
from tests.conftest import HEAD, Project
from tests.worker.shared_cells import SAVES, TOKEN, outputs, sweep, tokens, write

pytestmark = pytest.mark.usefixtures("steady_packages")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_an_instance_has_of_them_what_it_would_have_executed_itself(project: Project, engine: str) -> None:
    """Variables, outputs, counts, history, log, inputs, modules and warnings; whatever the engine."""
    project.write("data/links.csv", "a\n1\n2\n")
    project.write("lib/tool.py", "CALLS = []\n\ndef scale(x):\n    CALLS.append(x)\n    return 2 * x\n")
    write(
        project,
        "import decimal, warnings\nfrom lib import tool\nfrom ductaflow import project_path\n"
        "decimal.getcontext().prec = 5\nprint('loading')\ntool.scale(3)\n",
        "text = open(project_path('data/links.csv')).read()\nwarnings.warn('careful')\nlen(text)",
        rest="""
        # %%
        import sys
        same = sys.modules["lib.tool"] is tool
        print(In[2].splitlines()[0], Out, _oh is Out, decimal.Decimal(1) / 3, same, tool.CALLS)
        config["n"], _2
        # %%
        from ductaflow import save_results
        save_results(n=config["n"], text=text)
        """,
    )
    record = run_notebook("flow/step.py", {"n": 7}, instance_name="x")
    assert record.results == {"n": 7, "text": "a\n1\n2\n"}
    assert record.warnings == 1
    assert set(record.fingerprint["inputs"]) == {"data/links.csv"}
    assert set(record.fingerprint["modules"]) == {"lib/tool.py"}
    told = outputs(project, "x")
    assert [count for count, _ in told][:3] == [1, 2, 3]
    assert told[0][1][-1] != told[0][1][0]
    assert "execute_result" in str(told[0][1])
    line = "text = open(project_path('data/links.csv')).read() {1: 6, 2: 6} True 0.33333 True [3]\n"
    assert told[-2][1][0] == [line]
    log = (record.directory / "run.log").read_text()
    assert [line in log for line in ("out | loading", "careful")] == [True, True]
    assert log.index("loading") < log.index("text = open")


def test_they_are_executed_once(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """However many instances, workers and calls; anew in a call that is forced, and once in it."""
    write(project, TOKEN)
    first = sweep()
    assert first["status"].eq("done").all()
    assert tokens(first) == 1
    assert tokens(pd.concat([first, sweep(5)[3:]])) == 1
    forced = sweep(force=True)
    assert tokens(forced) == 1
    assert tokens(pd.concat([first, forced])) == 2
    assert tokens(pd.concat([forced, sweep(7)[5:]])) == 1
    assert "shared" not in capfd.readouterr().err


def test_a_large_table_is_in_memory_once(project: Project) -> None:
    """An instance has little memory of its own beside what it shares."""
    write(
        project,
        "import numpy as np\ntable = np.ones(25_000_000)",
        rest="""
        # %%
        from ductaflow import save_results
        lines = open("/proc/self/smaps_rollup").read().splitlines()
        private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        save_results(private=private / 1024, total=float(table[:10].sum()), n=config["n"])
        """,
    )
    frame = sweep()
    assert frame["result.total"].tolist() == [10.0] * 3
    assert (frame["result.private"] < 60).all()


def test_what_they_set_stays(project: Project) -> None:
    """The import path, the environment, the options of libraries: whatever a cell sets for those after it."""
    write(
        project,
        "import os, sys, numpy as np\nsys.path.insert(0, '/first')\nos.environ['SET_HERE'] = '1'\n"
        "np.set_printoptions(precision=2)\nsys.argv.append('more')",
        rest="""
        # %%
        from ductaflow import save_results
        told = [sys.path[0], os.environ["SET_HERE"], str(np.array([1 / 3])), str(len(sys.argv))]
        save_results(told=told, n=config["n"])
        """,
    )
    assert sweep()["result.told"].tolist() == [["/first", "1", "[0.33]", "2"]] * 3


def test_a_parquet_file_is_read_once(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Arrow's threads begin anew in every instance."""
    pd.DataFrame({"a": range(300_000)}).to_parquet(project.root / "links.parquet", row_group_size=10_000)
    reads = "import pandas as pd\nfrom ductaflow import project_path\ndef read():\n    return pd.read_parquet(path)\n"
    rest = SAVES.replace("token=token", "token=token, rows=len(read())")
    write(project, f"{TOKEN}{reads}path = project_path('links.parquet')\ntable = read()", rest=rest)
    frame = sweep()
    assert frame["result.rows"].tolist() == [300_000] * 3
    assert tokens(frame) == 1
    assert "shared" not in capfd.readouterr().err


def test_random_numbers(project: Project) -> None:
    """What they have seeded goes on from there in every instance; else each draws its own."""
    draws = """
    # %%
    from ductaflow import save_results
    import random
    import numpy as np
    save_results(python=random.random(), numpy=np.random.rand(), token=token, n=config["n"])
    """
    # A library that draws with a seed of its own, and puts back what was there.
    puts_back = "states = random.getstate(), np.random.get_state()\nrandom.seed(3)\nnp.random.seed(3)\n"
    puts_back += (
        "first = random.random() + np.random.rand()\nrandom.setstate(states[0])\nnp.random.set_state(states[1])"
    )
    imports = f"import random\nimport numpy as np\n{TOKEN}"
    for unseeded in ("", puts_back, "random.seed()\nnp.random.seed()"):
        write(project, f"{imports}{unseeded}", rest=draws)
        frame = sweep()
        assert frame[["result.python", "result.numpy", "result.token"]].nunique().tolist() == [3, 3, 1]
    write(project, f"{imports}random.seed(3)\nnp.random.seed(3)\nnp.random.rand()", rest=draws)
    frame = sweep()
    assert tokens(frame) == 1
    import random

    import numpy as np

    generator = np.random.RandomState(3)
    generator.rand()
    assert frame["result.python"].tolist() == [random.Random(3).random()] * 3
    assert frame["result.numpy"].tolist() == [generator.rand()] * 3


@pytest.mark.engines("fork", "spawn")
def test_what_they_draw_without_a_seed(project: Project) -> None:
    """Every instance has numbers of its own, whatever the engine."""
    write(project, "import numpy as np\nnoise = np.random.rand()", rest=SAVES.replace("token=token", "noise=noise"))
    assert sweep(2)["result.noise"].nunique() == 2


def test_a_progress_bar_of_theirs_has_a_lock_in_each_instance(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    """An instance that is killed while a bar is drawn holds up no other; a bar of theirs can be gone on with."""
    write(
        project,
        f"{TOKEN}from tqdm import tqdm\nbar = tqdm(total=4)\nbar.update(1)\n",
        rest="""
        # %%
        import os
        from ductaflow import save_results
        if config["n"] == 0:
            tqdm.get_lock().acquire()
            os.kill(os.getpid(), 9)
        bar.update(1)
        bar.refresh()
        shown = [number for number in tqdm(range(2))]
        save_results(token=token, at=bar.n, locks=len(tqdm.get_lock().locks))
        """,
    )
    frame = sweep(4, on_error="continue", timeout=20)
    assert frame["status"].tolist() == ["failed", "done", "done", "done"]
    assert frame["result.at"].tolist()[1:] == [2] * 3
    assert frame["result.locks"].tolist()[1:] == [2] * 3
    assert frame["result.token"].dropna().nunique() == 1
    assert "shared cells" not in capfd.readouterr().err


def test_few_flows_are_kept_with_what_their_shared_cells_made(project: Project) -> None:
    """Large tables of several flows do not pile up in a session."""
    pool().close()
    for name in ("a", "b", "c"):
        project.write_flow(f"flow/{name}.py", f'# %% tags=["shared"]\n{TOKEN}\n{HEAD}{SAVES}')
        run_notebook(f"flow/{name}.py", {"n": 1})
    assert len([key for key in pool().bases if key[-1]]) == 2

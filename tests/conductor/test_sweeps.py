"""A sweep of any size: rows are handed over a few at a time, and a stop is a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest

from ductaflow import InstancesFailed, load_results, run_instances
from tests.conftest import Project

FLOW = "# %%\nfrom ductaflow import save_results\nsave_results(double=2 * config['n'])\n"
FAILS_AT_ONE = "# %%\nassert config['n'] != 1\n"


class Counting(Executor):
    """One thread that ends one job after the other, and counts how many it has been given at a time."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._has = self._begun = 0
        self._breaks_after = breaks_after
        self.most = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a job; a broken executor takes none."""
        if self._begun == self._breaks_after:
            raise RuntimeError("the executor is broken")
        with self._lock:
            self._begun += 1
            self._has += 1
            self.most = max(self.most, self._has)
        return self._thread.submit(self._do, call, *args, **kwargs)

    def _do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            with self._lock:
                self._has -= 1


def rows(count: int) -> pd.DataFrame:
    """Rows named by their number."""
    return pd.DataFrame({"instance_name": [f"r{n}" for n in range(count)], "n": range(count)})


def test_an_executor_is_given_a_few_rows_at_a_time(project: Project) -> None:
    """However many rows there are, an executor has four for each of its workers; every row gets its own result."""
    project.flow(FLOW)
    executor = Counting()
    frame = run_instances(rows(20), "flow/step.py", executor=executor, workers=1)
    assert executor.most <= 5  # one more while the one that ended is being taken
    assert frame["result.double"].tolist() == [2 * n for n in range(20)]


@pytest.mark.parametrize("way", ["own worker", "thread", "counting"])
def test_nothing_starts_after_the_first_failure(project: Project, way: str) -> None:
    """With one worker, on_error="stop" leaves the rows after the failed one as they were, queued or not."""
    project.flow(FAILS_AT_ONE)
    executors = {"own worker": {"workers": 1}, "thread": {"executor": ThreadPoolExecutor(1)}}
    given: dict[str, Any] = executors.get(way, {"executor": Counting()})
    with pytest.raises(InstancesFailed) as raised:
        run_instances(rows(12), "flow/step.py", on_error="stop", **given)
    assert raised.value.results["status"].tolist() == ["done", "failed", *["not run"] * 10]
    assert load_results("step")["status"].tolist() == ["done", "failed"]
    assert list((project.root / "runs" / ".ductaflow").glob("stop-*")) == []


def test_an_executor_that_breaks_costs_the_rows_that_it_does_not_take(project: Project) -> None:
    """What had been done before is in the frame, and the others say why they failed."""
    project.flow(FLOW)
    executor = Counting(breaks_after=3)
    frame = run_instances(rows(5), "flow/step.py", executor=executor, workers=1, on_error="continue")
    assert frame["status"].tolist() == ["done"] * 3 + ["failed"] * 2
    assert frame["error"].tolist()[3:] == ["RuntimeError: the executor is broken"] * 2


def test_an_executor_that_takes_nothing_is_an_error(project: Project) -> None:
    """It is the call that is wrong, not the rows."""
    project.flow(FLOW)
    with pytest.raises(RuntimeError, match="broken"):
        run_instances(rows(2), "flow/step.py", executor=Counting(breaks_after=0))

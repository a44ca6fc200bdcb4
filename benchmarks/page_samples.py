"""Synthetic `runs/` folders for the status page: a traffic assignment sweep of any size."""

from __future__ import annotations

import base64
import json
import math
import random
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STARTED = datetime(2025, 11, 20, 9, 30, tzinfo=UTC)
TRACEBACK = """Traceback (most recent call last):
  File "flow/assign_traffic.py", line 61, in <module>
    costs = links["toll"] * value_of_time
KeyError: 'toll'
"""


def record(**changes: Any) -> dict[str, Any]:
    """A complete record of a successful execution, with `changes`."""
    return {
        "schema": 1,
        "flow": "flow/assign_traffic.py",
        "step": "assign_traffic",
        "instance_name": "base",
        "status": "done",
        "reason": "new",
        "started": STARTED.isoformat(),
        "finished": (STARTED + timedelta(seconds=2)).isoformat(),
        "duration_s": 2.0,
        "command": "ductaflow run flow/assign_traffic.py --config runs/assign_traffic/base/config.json",
        "error": None,
        "warnings": 0,
        "results": {},
        "fingerprint": {"config": {}, "code": {}, "modules": {}, "inputs": {}, "packages": {}},
        "outputs": {},
        "environment": {
            "python": "3.12.4",
            "platform": "Linux",
            "host": "node7",
            "git_commit": "3f2a1c9d07",
            "git_dirty": False,
            "pid": 4711,
            "worker": 0,
        },
    } | changes


def write_instance(
    runs_dir: Path,
    step: str,
    name: str,
    *,
    config: Mapping[str, Any] | None = None,
    log: str = "",
    figure: bytes | None = None,
    **changes: Any,
) -> Path:
    """Writes one instance's folder; `changes` are keys of its record."""
    directory = runs_dir / step / name
    directory.mkdir(parents=True)
    written = record(step=step, instance_name=name, **changes)
    written["fingerprint"] = written["fingerprint"] | {"config": dict(config or {})}
    (directory / "run.json").write_text(json.dumps(written), encoding="utf-8")
    if log:
        (directory / "run.log").write_text(log, encoding="utf-8")
    if figure is not None:
        notebook = directory / f"{Path(written['flow']).stem}.ipynb"
        notebook.write_text(json.dumps(notebook_with(figure)), encoding="utf-8")
    return directory


def notebook_with(figure: bytes) -> dict[str, Any]:
    """An executed notebook whose second code cell shows `figure`, a PNG."""
    data = {"image/png": base64.b64encode(figure).decode() + "\n", "text/plain": "<Figure>"}
    empty: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "source": "",
        "outputs": [],
        "execution_count": 1,
    }
    injected = empty | {"metadata": {"tags": ["injected-parameters"]}}
    plotted = empty | {"outputs": [{"output_type": "display_data", "data": data, "metadata": {}}]}
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Assign"}, empty, injected, plotted]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def png(width: int = 48, height: int = 32, seed: int = 0) -> bytes:
    """A small picture of a rising curve, without a plotting library."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            line = height - 1 - (x / width) ** (1 + seed % 5) * height
            rows += b"\x1f\x6f\xb5" if abs(y - line) < 1.5 else b"\xff\xff\xff"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def write_sweep(runs_dir: Path, count: int, *, figures: bool = False, workers: int = 4, seed: int = 1) -> None:
    """`count` instances of a traffic assignment: some with warnings, some failed for two causes."""
    chance = random.Random(seed)
    lanes = [0.0] * workers
    for index in range(count):
        worker = min(range(workers), key=lanes.__getitem__)
        seconds = round(chance.uniform(0.8, 2.4) * (3 if chance.random() < 0.03 else 1), 3)
        began = STARTED + timedelta(seconds=lanes[worker])
        lanes[worker] += seconds + 0.05
        times = {"started": began.isoformat(), "duration_s": seconds}
        times["finished"] = (began + timedelta(seconds=seconds)).isoformat()
        name, config = _row(index, count, chance)
        environment = record()["environment"] | {"worker": worker}
        outcome = _outcome(config, chance)
        lines = _log(began, name, outcome)
        command = f"ductaflow run flow/assign_traffic.py --config runs/assign_traffic/{name}/config.json"
        about = {"environment": environment, "command": command, "log": lines} | times | outcome
        figure = png(seed=index) if figures else None
        write_instance(runs_dir, "assign_traffic", name, config=config, figure=figure, **about)


def _row(index: int, count: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    networks = ("base", "shortcut", "toll")
    network = networks[index % 3]
    steps = max(1, math.ceil(count / 9) - 1)
    places = max(4, len(str(steps)))
    demand = round(0.5 + (index // 9) / steps, places)
    gap = (1e-3, 1e-4, 1e-5)[index // 3 % 3]
    config = {
        "network": network,
        "demand_factor": demand,
        "assignment": {"gap_target": gap, "max_iterations": 5000, "method": "bi-conjugate Frank-Wolfe"},
        "value_of_time": 18.5,
        "year": 2030,
    }
    return f"{network}_demand{demand:.{places}f}_gap{gap:g}", config


def _outcome(config: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    demand, network = config["demand_factor"], config["network"]
    if network == "toll" and chance.random() < 0.35:
        return _failure("KeyError", "'toll'", 4, TRACEBACK)
    if demand > 1.4 and chance.random() < 0.05:
        message = f"no convergence: gap {chance.random() / 50:.6f} after 5000 iterations"
        return _failure("RuntimeError", message, 6, f"RuntimeError: {message}\n")
    gap = config["assignment"]["gap_target"]
    mean = (65 if network == "base" else 80 if network == "shortcut" else 61) * (0.6 + 0.4 * demand**2)
    mean += chance.gauss(0, 0.4)
    results = {
        "mean_travel_time_min": mean,
        "total_travel_time_veh_min": mean * 4000 * demand,
        "relative_gap": gap * chance.uniform(0.2, 0.99),
        "iterations": int(30 + 90 * demand**3 - 25 * math.log10(gap) * chance.uniform(0.8, 1.2)),
    }
    outputs = {"flows.csv": {"size": chance.randrange(900, 60_000), "sha256": "0" * 64, "mtime_ns": 1}}
    warned = 1 if chance.random() < 0.06 else 0
    return {"results": results, "outputs": outputs, "warnings": warned}


def _failure(kind: str, message: str, cell: int, traceback: str) -> dict[str, Any]:
    error = {"type": kind, "message": message, "cell": cell, "traceback": traceback}
    return {"status": "failed", "error": error}


def _log(began: datetime, name: str, outcome: Mapping[str, Any]) -> str:
    stamp = began.strftime("%H:%M:%S.250")
    lines = [f"{stamp} reading network for {name}", f"{stamp} 3 zones, 5 links"]
    if outcome.get("warnings"):
        lines.append(f"{stamp} WARNING demand exceeds capacity on link 3")
    last = "assignment converged" if "results" in outcome else outcome["error"]["message"]
    return "\n".join([*lines, f"{stamp} {last}", ""])
